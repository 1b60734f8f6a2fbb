//! What this process knows of the partitions' progress, over all claims, and what a new claim's
//! offset therefore means. Reading goes on at the claimed offset in any case.

use std::collections::HashMap;

use crate::event_batch::BatchPosition;
use crate::ownership::Key;
use crate::position::Offset;

/// What a claimed offset means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// This process has not had the partition before.
    New,
    /// It is where this process left it.
    AsKnown,
    /// A commit whose outcome was unknown is done.
    Done,
    /// A commit whose outcome was unknown is not done: its events are merged again.
    Redo,
    /// It is below what was committed: the database went back, and so does reading.
    WentBack {
        /// What was committed.
        known: Offset,
    },
    /// Another owner, or a person, took it further.
    MovedOn,
}

/// The progress that a process knows.
#[derive(Debug, Default)]
pub struct KnownProgress {
    partitions: HashMap<Key, Known>,
}

#[derive(Debug)]
struct Known {
    committed: Offset,
    /// Where a commit of unknown outcome would have taken it.
    in_doubt: Option<Offset>,
}

impl KnownProgress {
    /// A commit is known to have taken the partitions to these positions.
    pub fn committed(&mut self, positions: &[BatchPosition]) {
        for position in positions {
            let key = (position.topic.clone(), position.partition);
            let known = Known { committed: position.next_offset, in_doubt: None };
            self.partitions.insert(key, known);
        }
    }

    /// A commit may have taken the partitions to these positions, or not.
    pub fn in_doubt(&mut self, positions: &[BatchPosition]) {
        for position in positions {
            let key = (position.topic.clone(), position.partition);
            if let Some(known) = self.partitions.get_mut(&key) {
                known.in_doubt = Some(position.next_offset);
            }
        }
    }

    /// A claim found the partition there. From now on that is what is known.
    pub fn claimed(&mut self, key: &Key, next_offset: Offset) -> Finding {
        let known = self.partitions.get(key);
        let finding = known.map_or(Finding::New, |known| {
            if next_offset < known.committed {
                Finding::WentBack { known: known.committed }
            } else if known.in_doubt == Some(next_offset) {
                Finding::Done
            } else if next_offset > known.committed {
                Finding::MovedOn
            } else if known.in_doubt.is_some() {
                Finding::Redo
            } else {
                Finding::AsKnown
            }
        });
        self.partitions.insert(key.clone(), Known { committed: next_offset, in_doubt: None });
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, KnownProgress};
    use crate::event_batch::BatchPosition;
    use crate::position::{Offset, Partition, Topic};

    #[test]
    fn tells_what_a_claimed_offset_means() {
        let key = (Topic::from("t"), Partition(0));
        let position = |next_offset| BatchPosition {
            topic: key.0.clone(),
            partition: key.1,
            first_offset: Offset(next_offset - 1),
            next_offset: Offset(next_offset),
            last: None,
        };
        let known = |in_doubt: Option<i64>| {
            let mut known = KnownProgress::default();
            known.committed(&[position(10)]);
            known.in_doubt(&in_doubt.map(position).into_iter().collect::<Vec<_>>());
            known
        };
        let table = [
            (None, 10, Finding::AsKnown),
            (None, 12, Finding::MovedOn),
            (None, 9, Finding::WentBack { known: Offset(10) }),
            (Some(15), 15, Finding::Done),
            (Some(15), 10, Finding::Redo),
            (Some(15), 17, Finding::MovedOn),
            (Some(15), 3, Finding::WentBack { known: Offset(10) }),
        ];
        for (in_doubt, claimed, expected) in table {
            let mut known = known(in_doubt);
            assert_eq!(known.claimed(&key, Offset(claimed)), expected, "{in_doubt:?} {claimed}");
            assert_eq!(known.claimed(&key, Offset(claimed)), Finding::AsKnown, "and is known now");
        }
        assert_eq!(KnownProgress::default().claimed(&key, Offset(5)), Finding::New);
    }
}
