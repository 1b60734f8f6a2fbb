//! The time from producing an event until a reader of the replica can see it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::Delivery;

/// Events that are under way, by partition in offset order, and the times of those that arrived.
pub struct Latencies {
    under_way: Vec<VecDeque<(i64, Instant)>>,
    arrived: Vec<Duration>,
}

impl Latencies {
    /// Nothing is under way yet.
    #[must_use]
    pub fn new(partitions: usize) -> Self {
        Self { under_way: vec![VecDeque::new(); partitions], arrived: Vec::new() }
    }

    /// An event was handed to the producer at `at`, and got this position.
    pub fn sent(&mut self, event: Delivery, at: Instant) {
        let partition = usize::try_from(event.partition).ok();
        if let Some(events) = partition.and_then(|partition| self.under_way.get_mut(partition)) {
            events.push_back((event.offset, at));
        }
    }

    /// A reader saw these `next_offset`s at `at`.
    pub fn seen(&mut self, next_offsets: &[i64], at: Instant) {
        for (events, next_offset) in self.under_way.iter_mut().zip(next_offsets) {
            while let Some((_, sent)) = events.pop_front_if(|(offset, _)| *offset < *next_offset) {
                self.arrived.push(at.duration_since(sent));
            }
        }
    }

    /// How many events have arrived.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.arrived.len()
    }

    /// The latencies of those that have arrived, in ascending order.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Duration> {
        self.arrived.sort_unstable();
        self.arrived
    }
}

/// The value that a share of all values does not exceed (0.5: the median); of none, zero.
#[must_use]
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Latencies, percentile};
    use crate::Delivery;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<Duration> = (1..=10).map(Duration::from_secs).collect();
        assert_eq!(percentile(&values, 0.5), Duration::from_secs(5));
        assert_eq!(percentile(&values, 0.99), Duration::from_secs(10));
        assert_eq!(percentile(&values, 1.0), Duration::from_secs(10));
        assert_eq!(percentile(&values[..1], 0.5), Duration::from_secs(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn an_event_arrives_when_its_offset_is_passed() {
        let start = Instant::now();
        let mut latencies = Latencies::new(2);
        for (partition, offset) in [(0, 0), (0, 1), (1, 0)] {
            latencies.sent(Delivery { partition, offset }, start);
        }
        latencies.seen(&[1, 0], start + Duration::from_secs(1));
        assert_eq!(latencies.arrived(), 1);
        latencies.seen(&[2, 1], start + Duration::from_secs(2));
        assert_eq!(latencies.sorted(), [1, 2, 2].map(Duration::from_secs));
    }
}
