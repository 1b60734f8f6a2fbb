//! Which partitions a batch has events of, and how far it takes them.

use super::event::Events;
use crate::position::{Offset, Partition, Topic};

/// How far a batch takes a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPosition {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The offset of its first record in the batch; `next_offset` if it has none.
    pub first_offset: Offset,
    /// Where reading goes on once the batch is merged.
    pub next_offset: Offset,
    /// Its last record in the batch, if it has one.
    pub last: Option<LastRecord>,
}

/// What progress keeps of the last record, to know it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRecord {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Its hash: [`record_hash`](crate::record_hash::record_hash).
    pub hash: [u8; 16],
}

/// The partitions of a batch, indexed by arrival.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    partitions: Vec<State>,
    /// The one that was last asked for: records come in runs.
    latest: usize,
}

#[derive(Debug)]
struct State {
    topic: Topic,
    partition: Partition,
    first_offset: Offset,
    next_offset: Offset,
    /// The index of its last event.
    last: Option<u32>,
}

impl Partitions {
    /// The index of this partition, which begins at `first_offset` if it is new.
    pub fn find_or_add(
        &mut self,
        topic: &Topic,
        partition: Partition,
        first_offset: Offset,
    ) -> usize {
        let is_it = |state: &State| state.partition == partition && state.topic == *topic;
        if self.partitions.get(self.latest).is_some_and(is_it) {
            return self.latest;
        }
        self.latest = self.partitions.iter().position(is_it).unwrap_or_else(|| {
            self.partitions.push(State {
                topic: topic.clone(),
                partition,
                first_offset,
                next_offset: first_offset,
                last: None,
            });
            self.partitions.len() - 1
        });
        self.latest
    }

    /// Notes that the partition has this event.
    pub fn record(&mut self, index: usize, event: u32, offset: Offset) {
        let state = &mut self.partitions[index];
        if state.last.is_none() {
            state.first_offset = offset;
        }
        state.last = Some(event);
        state.next_offset = state.next_offset.max(offset.next());
    }

    /// Notes that the partition was read up to there.
    pub fn advance(&mut self, index: usize, next_offset: Offset) {
        let state = &mut self.partitions[index];
        state.next_offset = state.next_offset.max(next_offset);
        if state.last.is_none() {
            state.first_offset = state.next_offset;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    pub fn clear(&mut self) {
        self.partitions.clear();
        self.latest = 0;
    }

    /// Topic and partition of an index.
    pub fn name(&self, index: usize) -> (&Topic, Partition) {
        let state = &self.partitions[index];
        (&state.topic, state.partition)
    }

    /// The indexes, by (topic, partition).
    fn sorted(&self) -> Vec<usize> {
        let mut sorted: Vec<usize> = (0..self.partitions.len()).collect();
        sorted.sort_by_key(|index| self.name(*index));
        sorted
    }

    /// For each index, its place by (topic, partition).
    pub fn ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.partitions.len()];
        for (rank, index) in self.sorted().into_iter().enumerate() {
            ranks[index] = rank as u32;
        }
        ranks
    }

    /// How far the batch takes each partition, by (topic, partition).
    pub fn positions(&self, events: &Events) -> Vec<BatchPosition> {
        let position = |index: usize| {
            let state = &self.partitions[index];
            BatchPosition {
                topic: state.topic.clone(),
                partition: state.partition,
                first_offset: state.first_offset,
                next_offset: state.next_offset,
                last: state.last.map(|event| events.last_record(event)),
            }
        };
        self.sorted().into_iter().map(position).collect()
    }
}
