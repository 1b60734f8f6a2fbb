//! Partitions that this process has stopped: what cannot be healed without a person.
//!
//! A stop concerns one partition, and the others go on. It is logged as an error, shown by
//! `/readyz` and a metric, and not retried. It ends when somebody changes the partition's progress
//! (`forebay resume`, or another writer's claim), or with the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::IntGaugeVec;
use tracing::{error, info};
use uuid::Uuid;

use crate::position::{Offset, Partition, Topic};

/// Why a partition cannot go on, and what a person can do. Checks and the consumer answer with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStop {
    /// Its topic.
    pub topic: Topic,
    /// Its number.
    pub partition: Partition,
    /// What is wrong and what to do, without the partition's name.
    pub message: String,
}

impl fmt::Display for PartitionStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.topic, self.partition, self.message)
    }
}

/// What progress said of a partition when it was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The fence.
    pub token: Uuid,
    /// The committed offset to read next.
    pub next_offset: Offset,
}

/// The stopped partitions of a process, shared by its workers.
#[derive(Debug)]
pub struct StoppedPartitions {
    stopped: Mutex<BTreeMap<(Topic, Partition), Stopped>>,
    /// Labels: topic, partition.
    gauge: IntGaugeVec,
}

#[derive(Debug)]
struct Stopped {
    message: String,
    mark: Mark,
}

impl StoppedPartitions {
    /// None yet. The gauge (labels: topic, partition) is 1 for each that is stopped.
    pub fn new(gauge: IntGaugeVec) -> Self {
        Self { stopped: Mutex::default(), gauge }
    }

    /// Stops a partition, until its progress is no longer `mark`.
    pub fn stop(&self, stop: &PartitionStop, mark: Mark) {
        self.labelled(&stop.topic, stop.partition, |gauge, labels| {
            gauge.with_label_values(labels).set(1);
        });
        let key = (stop.topic.clone(), stop.partition);
        self.lock().insert(key, Stopped { message: stop.message.clone(), mark });
        error!("stopped {stop}");
    }

    /// Whether a partition is stopped.
    pub fn contains(&self, topic: &Topic, partition: Partition) -> bool {
        self.lock().contains_key(&(topic.clone(), partition))
    }

    /// Progress as it is found now. Ends the stop if it is another than before, and says whether
    /// it did.
    pub fn observe(&self, topic: &Topic, partition: Partition, found: Mark) -> bool {
        let key = (topic.clone(), partition);
        let mut stopped = self.lock();
        if stopped.get(&key).is_none_or(|stopped| stopped.mark == found) {
            return false;
        }
        stopped.remove(&key);
        drop(stopped);
        self.labelled(topic, partition, |gauge, labels| {
            // It was set when the partition was stopped.
            let _ = gauge.remove_label_values(labels);
        });
        info!("{topic}/{partition} is no longer stopped: its progress was changed");
        true
    }

    /// All of them with their reasons.
    pub fn all(&self) -> Vec<PartitionStop> {
        let stop = |((topic, partition), stopped): (&(Topic, Partition), &Stopped)| PartitionStop {
            topic: topic.clone(),
            partition: *partition,
            message: stopped.message.clone(),
        };
        self.lock().iter().map(stop).collect()
    }

    fn labelled(&self, topic: &Topic, partition: Partition, act: impl Fn(&IntGaugeVec, &[&str])) {
        act(&self.gauge, &[topic.as_str(), &partition.to_string()]);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Topic, Partition), Stopped>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{IntGaugeVec, Opts};
    use uuid::Uuid;

    use super::{Mark, PartitionStop, StoppedPartitions};
    use crate::position::{Offset, Partition, Topic};

    fn none_stopped() -> (StoppedPartitions, IntGaugeVec) {
        let gauge = IntGaugeVec::new(Opts::new("stopped", "stopped"), &["topic", "partition"]);
        let gauge = gauge.unwrap();
        (StoppedPartitions::new(gauge.clone()), gauge)
    }

    fn mark(token: u128, next_offset: i64) -> Mark {
        Mark { token: Uuid::from_u128(token), next_offset: Offset(next_offset) }
    }

    #[test]
    fn a_stop_lasts_until_progress_changes() {
        let topic = Topic::from("t");
        for changed in [mark(2, 5), mark(1, 6)] {
            let (partitions, gauge) = none_stopped();
            let stop = PartitionStop {
                topic: topic.clone(),
                partition: Partition(3),
                message: "the log begins at 7".to_owned(),
            };
            partitions.stop(&stop, mark(1, 5));
            assert!(partitions.contains(&topic, Partition(3)));
            assert!(!partitions.contains(&topic, Partition(4)));
            assert_eq!(gauge.with_label_values(&["t", "3"]).get(), 1);
            assert_eq!(partitions.all(), [stop]);

            assert!(!partitions.observe(&topic, Partition(3), mark(1, 5)));
            assert!(!partitions.observe(&topic, Partition(4), mark(9, 9)));
            assert!(partitions.contains(&topic, Partition(3)));
            assert!(partitions.observe(&topic, Partition(3), changed));
            assert!(!partitions.contains(&topic, Partition(3)));
            assert!(partitions.all().is_empty());
            assert!(gauge.remove_label_values(&["t", "3"]).is_err(), "the gauge is still there");
        }
    }

    #[test]
    fn says_which_partition_and_why() {
        let stop = PartitionStop {
            topic: Topic::from("t"),
            partition: Partition(3),
            message: "the log begins at 7".to_owned(),
        };
        assert_eq!(stop.to_string(), "t/3: the log begins at 7");
    }
}
