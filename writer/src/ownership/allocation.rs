//! Which partitions a process's workers are to own: a pure function of what can be seen.
//!
//! Each live writer has a quota: the partitions divided by the writers, one more for the eldest if
//! that leaves a rest. All writers see the same list, so the quotas add up to all partitions. Who
//! has more than its quota gives back; who has less takes what nobody owns. Nothing moves that does
//! not have to, so with a list that stays the same all come to rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::position::{Partition, Topic};

/// A partition of a topic.
pub type Key = (Topic, Partition);

/// Who owns a partition, seen from one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Nobody, or a writer that can be ended: its heartbeat is too old.
    Nobody,
    /// A session of this process.
    This,
    /// Another session.
    Other,
}

/// What a process sees.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Every partition of the source, with its owner.
    pub partitions: &'a BTreeMap<Key, Owner>,
    /// How many live writers can take partitions.
    pub writers: usize,
    /// The place of this process among them, the eldest being 0; none if it is not one of them.
    pub rank: Option<usize>,
}

/// What each worker of the process is to own, given what each was to own until now.
pub fn allocate(wanted: &[BTreeSet<Key>], situation: Situation<'_>) -> Vec<BTreeSet<Key>> {
    let mut shares = Shares(wanted.to_vec());
    shares.forget_what_others_own(situation.partitions);
    let Some(quota) = quota(situation) else { return shares.0 };
    while shares.total() > quota {
        shares.give_one_back();
    }
    for key in available(&shares, situation) {
        if shares.total() >= quota {
            break;
        }
        shares.take(key);
    }
    shares.level();
    shares.0
}

/// How many partitions this process is to own. None if nobody can own any: then what is owned
/// stays where it is.
fn quota(situation: Situation<'_>) -> Option<usize> {
    let writers = (situation.writers > 0).then_some(situation.writers)?;
    let count = situation.partitions.len();
    Some(match situation.rank {
        Some(rank) => count / writers + usize::from(rank < count % writers),
        None => 0,
    })
}

/// What may be taken. Each writer begins at another place, so that they seldom want the same one.
fn available(shares: &Shares, situation: Situation<'_>) -> Vec<Key> {
    let free = situation.partitions.iter().filter(|(_, owner)| **owner == Owner::Nobody);
    let mut free: Vec<Key> =
        free.map(|(key, _)| key.clone()).filter(|key| !shares.contain(key)).collect();
    let count = free.len();
    let first = situation.rank.unwrap_or(0) * count / situation.writers.max(1);
    free.rotate_left(first.min(count));
    free
}

/// What each worker is to own.
struct Shares(Vec<BTreeSet<Key>>);

impl Shares {
    fn total(&self) -> usize {
        self.0.iter().map(BTreeSet::len).sum()
    }

    fn contain(&self, key: &Key) -> bool {
        self.0.iter().any(|share| share.contains(key))
    }

    /// Also partitions that are no more.
    fn forget_what_others_own(&mut self, partitions: &BTreeMap<Key, Owner>) {
        for share in &mut self.0 {
            share.retain(|key| partitions.get(key).is_some_and(|owner| *owner != Owner::Other));
        }
    }

    fn take(&mut self, key: Key) {
        if let Some(smallest) = self.0.iter_mut().min_by_key(|share| share.len()) {
            smallest.insert(key);
        }
    }

    fn give_one_back(&mut self) {
        if let Some(largest) = self.0.iter_mut().max_by_key(|share| share.len()) {
            largest.pop_last();
        }
    }

    /// A worker that has two more than another gives one back, which the other takes when nobody
    /// owns it any more: a partition never has two sessions.
    fn level(&mut self) {
        let Some(least) = self.0.iter().map(BTreeSet::len).min() else { return };
        for share in &mut self.0 {
            if share.len() > least + 1 {
                share.pop_last();
            }
        }
    }
}

#[cfg(test)]
mod tests;
