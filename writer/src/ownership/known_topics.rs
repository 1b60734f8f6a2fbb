//! The topics' partitions, as far as they are known.

use std::collections::{BTreeMap, BTreeSet};

use super::allocation::Key;
use crate::position::{Partition, Topic};

/// So many looks in a row have to miss a topic until it is gone: a broker that comes up does not know
/// its topics yet.
const MISSES: u32 = 3;

/// What was last seen of each topic.
#[derive(Debug, Default)]
pub(super) struct KnownTopics(BTreeMap<Topic, Known>);

#[derive(Debug)]
struct Known {
    partitions: Vec<Partition>,
    /// How many looks have missed the topic since.
    misses: u32,
}

impl KnownTopics {
    /// A look has found a topic with these partitions.
    pub fn found(&mut self, topic: Topic, partitions: Vec<Partition>) {
        self.0.insert(topic, Known { partitions, misses: 0 });
    }

    /// A look has not found a topic. Says whether it is gone, or was never there.
    pub fn missed(&mut self, topic: &Topic) -> bool {
        let Some(known) = self.0.get_mut(topic) else { return true };
        known.misses += 1;
        let is_gone = known.misses >= MISSES;
        if is_gone {
            self.0.remove(topic);
        }
        is_gone
    }

    /// Every partition of every topic.
    pub fn partitions(&self) -> BTreeSet<Key> {
        let of = |(topic, known): (&Topic, &Known)| {
            let keys = known.partitions.iter().map(|partition| (topic.clone(), *partition));
            keys.collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownTopics, MISSES};
    use crate::position::{Partition, Topic};

    #[test]
    fn a_topic_is_gone_when_many_looks_in_a_row_have_missed_it() {
        let (topic, other) = (Topic::from("t"), Topic::from("other"));
        let key = |topic: &Topic, number| (topic.clone(), Partition(number));
        let mut known = KnownTopics::default();
        assert!(known.missed(&topic));
        known.found(topic.clone(), vec![Partition(0), Partition(1)]);
        known.found(other.clone(), vec![Partition(0)]);
        for _ in 1..MISSES {
            assert!(!known.missed(&topic));
        }
        known.found(topic.clone(), vec![Partition(0), Partition(1)]);
        for _ in 1..MISSES {
            assert!(!known.missed(&topic));
            assert_eq!(known.partitions(), [key(&topic, 0), key(&topic, 1), key(&other, 0)].into());
        }
        assert!(known.missed(&topic));
        assert_eq!(known.partitions(), [key(&other, 0)].into());
    }
}
