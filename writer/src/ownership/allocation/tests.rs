use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Key, Owner, Situation, allocate};
use crate::position::{Partition, Topic};

fn key(number: usize) -> Key {
    (Topic::from("t"), Partition(i32::try_from(number).unwrap()))
}

fn sizes(shares: &[BTreeSet<Key>]) -> Vec<usize> {
    shares.iter().map(BTreeSet::len).collect()
}

fn all_of(owner: Owner, count: usize) -> BTreeMap<Key, Owner> {
    (0..count).map(|number| (key(number), owner)).collect()
}

#[test]
fn a_single_writer_takes_everything_at_once() {
    let partitions = all_of(Owner::Nobody, 7);
    let situation = Situation { partitions: &partitions, writers: 1, rank: Some(0) };
    let shares = allocate(&vec![BTreeSet::new(); 3], situation);
    assert_eq!(sizes(&shares), [3, 2, 2]);
}

#[test]
fn the_eldest_have_the_rest() {
    let partitions = all_of(Owner::Nobody, 5);
    let quota = |rank| {
        let situation = Situation { partitions: &partitions, writers: 3, rank };
        sizes(&allocate(&[BTreeSet::new()], situation))[0]
    };
    assert_eq!([quota(Some(0)), quota(Some(1)), quota(Some(2)), quota(None)], [2, 2, 1, 0]);
}

#[test]
fn what_another_owns_is_neither_taken_nor_kept() {
    let mut partitions = all_of(Owner::Nobody, 2);
    partitions.insert(key(0), Owner::Other);
    let situation = Situation { partitions: &partitions, writers: 1, rank: Some(0) };
    let wanted = [BTreeSet::from([key(0)])];
    assert_eq!(allocate(&wanted, situation), [BTreeSet::from([key(1)])]);
}

#[test]
fn a_partition_that_is_no_more_is_forgotten() {
    let partitions = all_of(Owner::This, 1);
    let situation = Situation { partitions: &partitions, writers: 1, rank: Some(0) };
    let wanted = [BTreeSet::from([key(0), key(1)])];
    assert_eq!(allocate(&wanted, situation), [BTreeSet::from([key(0)])]);
}

#[test]
fn who_cannot_take_gives_back_if_others_can() {
    let partitions = all_of(Owner::This, 4);
    let wanted = [(0..4).map(key).collect::<BTreeSet<_>>()];
    let alone = Situation { partitions: &partitions, writers: 0, rank: None };
    assert_eq!(allocate(&wanted, alone), wanted);
    let beside = Situation { partitions: &partitions, writers: 1, rank: None };
    assert_eq!(allocate(&wanted, beside), [BTreeSet::new()]);
}

#[test]
fn workers_of_a_process_are_levelled_without_a_partition_having_two() {
    let partitions = all_of(Owner::This, 4);
    let situation = Situation { partitions: &partitions, writers: 1, rank: Some(0) };
    let wanted = [(0..4).map(key).collect::<BTreeSet<_>>(), BTreeSet::new()];
    let shares = allocate(&wanted, situation);
    assert_eq!(sizes(&shares), [3, 0], "given back first");
    let mut partitions = partitions;
    partitions.insert(key(3), Owner::Nobody);
    let situation = Situation { partitions: &partitions, writers: 1, rank: Some(0) };
    assert_eq!(sizes(&allocate(&shares, situation)), [2, 1], "taken when free, and the next given");
}

/// Writers that see the database at moments of their own, and claim and release in their own time.
struct Cluster {
    partitions: usize,
    /// By partition: (writer, worker).
    locks: Vec<Option<(usize, usize)>>,
    /// None: it is dead, and its locks with it.
    writers: Vec<Option<Vec<BTreeSet<Key>>>>,
}

impl Cluster {
    fn new(partitions: usize, writers: usize, workers: usize) -> Self {
        Self {
            partitions,
            locks: vec![None; partitions],
            writers: vec![Some(vec![BTreeSet::new(); workers]); writers],
        }
    }

    fn live(&self) -> Vec<usize> {
        (0..self.writers.len()).filter(|writer| self.writers[*writer].is_some()).collect()
    }

    /// A writer looks, and decides. Says whether that changed what it wants.
    fn decide(&mut self, writer: usize) -> bool {
        let live = self.live();
        let owner = |number: usize| match self.locks[number] {
            None => Owner::Nobody,
            Some((owner, _)) if owner == writer => Owner::This,
            Some(_) => Owner::Other,
        };
        let partitions = (0..self.partitions).map(|number| (key(number), owner(number))).collect();
        let situation = Situation {
            partitions: &partitions,
            writers: live.len(),
            rank: live.iter().position(|other| *other == writer),
        };
        let Some(wanted) = &mut self.writers[writer] else { return false };
        let decided = allocate(wanted, situation);
        let changed = *wanted != decided;
        *wanted = decided;
        changed
    }

    /// A worker of a writer catches up with what it is to own.
    fn act(&mut self, writer: usize, worker: usize) {
        let Some(wanted) = &self.writers[writer] else { return };
        for (number, lock) in self.locks.iter_mut().enumerate() {
            let is_wanted = wanted[worker].contains(&key(number));
            match *lock {
                Some(owner) if owner == (writer, worker) && !is_wanted => *lock = None,
                None if is_wanted => *lock = Some((writer, worker)),
                _ => {}
            }
        }
    }

    fn kill(&mut self, writer: usize) {
        self.writers[writer] = None;
        for lock in &mut self.locks {
            *lock = lock.filter(|(owner, _)| *owner != writer);
        }
    }

    fn owned_by(&self, writer: usize) -> usize {
        self.locks.iter().flatten().filter(|(owner, _)| *owner == writer).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened before: once writers neither come nor go, each comes to its quota, every
    /// partition has an owner, workers are level, and nothing moves any more.
    #[test]
    fn comes_to_rest_level(
        partitions in 0_usize..20,
        (writers, workers) in (1_usize..5, 1_usize..4),
        steps in prop::collection::vec((0_usize..5, 0_usize..5, 0_u8..8), 0..200),
    ) {
        let mut cluster = Cluster::new(partitions, writers, workers);
        for (writer, worker, action) in steps {
            let (writer, worker) = (writer % writers, worker % workers);
            match action {
                0 if cluster.live().len() > 1 => cluster.kill(writer),
                1 if cluster.writers[writer].is_none() => {
                    cluster.writers[writer] = Some(vec![BTreeSet::new(); workers]);
                }
                2..=4 => { cluster.decide(writer); }
                _ => cluster.act(writer, worker),
            }
        }
        // Rounds enough for each partition to be given back and taken once per level.
        let mut rounds = 0;
        loop {
            let mut moved = false;
            for writer in cluster.live() {
                moved |= cluster.decide(writer);
                for worker in 0..workers {
                    let before = cluster.locks.clone();
                    cluster.act(writer, worker);
                    moved |= cluster.locks != before;
                }
            }
            if !moved {
                break;
            }
            rounds += 1;
            prop_assert!(rounds <= 2 * partitions + 4, "still moving: {:?}", cluster.locks);
        }
        let live = cluster.live();
        for (rank, writer) in live.iter().enumerate() {
            let quota = partitions / live.len() + usize::from(rank < partitions % live.len());
            prop_assert_eq!(cluster.owned_by(*writer), quota, "of writer {}", writer);
            let shares = sizes(cluster.writers[*writer].as_ref().unwrap());
            prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
        prop_assert!(cluster.locks.iter().all(Option::is_some));
    }

    /// A writer that joins or leaves moves no more than has to move.
    #[test]
    fn moves_no_more_than_it_must(partitions in 1_usize..40, writers in 1_usize..6) {
        let mut cluster = Cluster::new(partitions, writers + 1, 1);
        cluster.writers[writers] = None;
        let settle = |cluster: &mut Cluster| {
            for _ in 0..2 * partitions + 4 {
                for writer in cluster.live() {
                    cluster.decide(writer);
                    cluster.act(writer, 0);
                }
            }
        };
        settle(&mut cluster);
        let before = cluster.locks.clone();
        cluster.writers[writers] = Some(vec![BTreeSet::new()]);
        settle(&mut cluster);
        let moved = before.iter().zip(&cluster.locks).filter(|(a, b)| a != b).count();
        prop_assert_eq!(moved, cluster.owned_by(writers), "only to the one that joined");
        let kept = cluster.locks.clone();
        cluster.kill(writers);
        settle(&mut cluster);
        let stayed = kept.iter().zip(&cluster.locks);
        for (was, is) in stayed.filter(|(was, _)| was.is_some_and(|(writer, _)| writer != writers)) {
            prop_assert_eq!(was, is, "a partition moved between those that stayed");
        }
    }
}
