//! How far behind each partition is.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::position::{Offset, Partition, Topic};

/// What is known of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The committed offset to read next.
    pub next_offset: Offset,
    /// The end of what a reader of committed records can read.
    pub end: Offset,
    /// The timestamp of the last merged record, in milliseconds since 1970.
    pub last_timestamp_ms: Option<i64>,
}

impl Standing {
    /// Offsets still to be merged. (Offsets may have gaps, so records may be fewer.)
    pub fn offsets(&self) -> i64 {
        self.end.0.saturating_sub(self.next_offset.0).max(0)
    }

    /// Age of the last merged record if there is more to merge, else 0; none if nothing was ever
    /// merged.
    pub fn seconds(&self, now_ms: i64) -> Option<f64> {
        if self.offsets() == 0 {
            return Some(0.0);
        }
        let age = now_ms.saturating_sub(self.last_timestamp_ms?).max(0);
        // An age in milliseconds is far below 2^53.
        Some(age as f64 / 1000.0)
    }
}

/// The standing of every claimed partition, and the worker that claimed it.
#[derive(Debug, Default)]
pub struct Lag(Mutex<BTreeMap<(Topic, Partition), (usize, Standing)>>);

impl Lag {
    /// A worker's claim says where its partitions stand; those of an earlier claim of that worker
    /// are forgotten.
    pub fn claimed(
        &self,
        worker: usize,
        standings: impl IntoIterator<Item = ((Topic, Partition), Standing)>,
    ) {
        let mut all = self.lock();
        all.retain(|_, (owner, _)| *owner != worker);
        all.extend(standings.into_iter().map(|(key, standing)| (key, (worker, standing))));
    }

    /// The broker says where a partition ends.
    pub fn ends_at(&self, topic: &str, partition: Partition, end: Offset) {
        let key = (Topic::from(topic), partition);
        if let Some((_, standing)) = self.lock().get_mut(&key) {
            standing.end = standing.end.max(end);
        }
    }

    /// A batch is committed up to `next_offset`.
    pub fn merged(
        &self,
        topic: &Topic,
        partition: Partition,
        next_offset: Offset,
        last_timestamp_ms: Option<i64>,
    ) {
        if let Some((_, standing)) = self.lock().get_mut(&(topic.clone(), partition)) {
            standing.next_offset = next_offset;
            standing.end = standing.end.max(next_offset);
            standing.last_timestamp_ms = last_timestamp_ms.or(standing.last_timestamp_ms);
        }
    }

    /// Offsets still to be merged, of all partitions.
    pub fn total_offsets(&self) -> i64 {
        self.lock().values().map(|(_, standing)| standing.offsets()).sum()
    }

    /// Every partition's standing.
    pub fn standings(&self) -> Vec<((Topic, Partition), Standing)> {
        self.lock().iter().map(|(key, (_, standing))| (key.clone(), *standing)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Topic, Partition), (usize, Standing)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Lag, Standing};
    use crate::position::{Offset, Partition, Topic};

    #[test]
    fn is_zero_when_drained() {
        let lag = Lag::default();
        let topic = Topic::from("t");
        let standing = Standing { next_offset: Offset(5), end: Offset(8), last_timestamp_ms: None };
        lag.claimed(0, [((topic.clone(), Partition(0)), standing)]);
        assert_eq!(lag.total_offsets(), 3);
        assert_eq!(standing.seconds(10_000), None);
        lag.merged(&topic, Partition(0), Offset(6), Some(4_000));
        let (_, standing) = lag.standings()[0];
        assert_eq!(standing.seconds(10_000), Some(6.0));
        lag.merged(&topic, Partition(0), Offset(9), Some(5_000));
        let (_, standing) = lag.standings()[0];
        assert_eq!((standing.offsets(), standing.seconds(10_000)), (0, Some(0.0)));
        lag.ends_at("t", Partition(0), Offset(10));
        lag.ends_at("unknown", Partition(0), Offset(10));
        assert_eq!(lag.total_offsets(), 1);
    }
}
