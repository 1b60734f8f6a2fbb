//! The arena of one batch: the rows of its events, encoded for COPY, and the events themselves,
//! which dead letters need whole.
//!
//! Buffers grow as events are pushed, and keep their capacity when the batch is cleared. An event
//! that is refused half-way leaves no row behind.

mod copy;
mod event;
mod key_prefix;
mod partition;
mod target_rows;

use std::ops::Range;

use crate::catalog::{Catalog, TargetIndex};
use crate::decode::{Format, RowWriter};
use crate::position::{Offset, Partition, Topic};
use crate::record::Record;
use crate::rejection::Rejection;

pub use copy::CopyChunks;
pub use event::EventRef;
pub(crate) use key_prefix::{KeyPrefix, KeyPrefixBuilder, MOST_KEY_COLUMNS};
pub use partition::{BatchPosition, LastRecord};

use event::Events;
use partition::Partitions;
pub(crate) use target_rows::RowBuffers;

/// Rows of one target that stand together in a batch, those of an event never parted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSpan {
    target: TargetIndex,
    rows: Range<usize>,
}

impl RowSpan {
    /// How many.
    pub fn row_count(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// The events of one batch. Push, [`seal`](Self::seal), read, [`clear`](Self::clear).
#[derive(Debug, Default)]
pub struct EventBatch {
    events: Events,
    rows: RowBuffers,
    partitions: Partitions,
    /// By the event's index; in the order of arrival.
    rejections: Vec<(u32, Rejection)>,
    /// What the rejections' texts take.
    rejection_bytes: usize,
}

impl EventBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a record into the batch. If it can't be, that is the event's rejection, and none of
    /// its rows stays. Offsets of a partition must ascend. The batch must be sealed (again) before
    /// it is read.
    pub fn push(&mut self, record: &Record<'_>, format: &Format, catalog: &Catalog) {
        let partition = self.partitions.find_or_add(record.topic, record.partition, record.offset);
        let event = self.events.push(record, partition);
        self.partitions.record(partition, event, record.offset);
        self.rows.begin_event(event, record.payload.map_or(0, <[u8]>::len));
        let mut writer = RowWriter::new(&mut self.rows);
        if let Err(rejection) = format.decode(catalog, record, &mut writer) {
            self.rows.roll_back_event();
            self.rejection_bytes += rejection.message.len() + size_of::<Rejection>();
            self.rejections.push((event, rejection));
        }
    }

    /// Says that a partition has been read up to `next_offset`, though its last offsets have no
    /// record: transaction markers and aborted records. Going back is ignored.
    pub fn advance_to(&mut self, topic: &Topic, partition: Partition, next_offset: Offset) {
        let index = self.partitions.find_or_add(topic, partition, next_offset);
        self.partitions.advance(index, next_offset);
    }

    /// Whether there is neither an event nor a progress to merge.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// How many events were pushed, rejected ones included.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// How many rows the events that were not rejected have.
    pub fn row_count(&self) -> usize {
        self.rows.row_count()
    }

    /// Bytes that are buffered: rows, events, rejections.
    pub fn byte_count(&self) -> usize {
        self.rows.byte_count() + self.events.byte_count() + self.rejection_bytes
    }

    /// Forgets everything, and keeps the memory for the next batch, unless far more was allocated
    /// than this one needed.
    pub fn clear(&mut self) {
        self.events.clear();
        self.rows.clear();
        self.partitions.clear();
        self.rejections.clear();
        self.rejection_bytes = 0;
    }

    /// Numbers the events 0, 1, 2 … by (topic, partition, offset), and puts rows in the order of their
    /// keys.
    pub fn seal(&mut self) {
        self.rows.sort();
        self.events.number(&self.partitions);
        let events = &self.events;
        self.rejections.sort_by_key(|(event, _)| events.number_of(*event));
    }

    /// The positions that merging this batch takes each of its partitions to, by (topic,
    /// partition).
    pub fn positions(&self) -> Vec<BatchPosition> {
        self.partitions.positions(&self.events)
    }

    /// The targets that have rows, with their number.
    pub fn targets(&self) -> impl Iterator<Item = (TargetIndex, u64)> {
        self.rows.targets()
    }

    /// All rows of a target.
    pub fn rows_of(&self, target: TargetIndex) -> RowSpan {
        let count = self.rows.of_target(target).map_or(0, |rows| rows.starts.len());
        RowSpan { target, rows: 0..count }
    }

    /// The rows of a target as they are copied, each with the number of its event, in the order of
    /// the events. The batch must be sealed.
    pub fn encoded_rows(&self, target: TargetIndex) -> Vec<(i32, &[u8])> {
        let Some(rows) = self.rows.of_target(target) else { return Vec::new() };
        let encoded = rows
            .starts
            .iter()
            .enumerate()
            .map(|(index, row)| (self.events.number_of(row.event), rows.row(index)));
        let mut encoded: Vec<_> = encoded.collect();
        encoded.sort_by_key(|(event, _)| *event);
        encoded
    }

    /// Parts rows between two events, about in the middle. If all of them are one event's, gives
    /// its number instead. The batch must be sealed.
    pub fn halves(&self, span: &RowSpan) -> Result<[RowSpan; 2], i32> {
        let RowSpan { target, rows } = span;
        let starts = self.rows.of_target(*target).map_or(&[][..], |of_target| &of_target.starts);
        let begins_event = |row: &usize| starts[*row].event != starts[*row - 1].event;
        let middle = rows.start + rows.len() / 2;
        let before = (rows.start + 1..=middle).rev().find(begins_event);
        match before.or_else(|| (middle + 1..rows.end).find(begins_event)) {
            Some(middle) => Ok([rows.start..middle, middle..rows.end]
                .map(|rows| RowSpan { target: *target, rows })),
            None => Err(starts.get(rows.start).map_or(-1, |row| self.events.number_of(row.event))),
        }
    }

    /// Rows as the chunks of a COPY, from header to trailer: all rows of a target in the order of their
    /// keys, some in that of their arrival. `batch_id` is the transaction that stages them. The batch
    /// must be sealed.
    pub fn copy_chunks(&self, span: &RowSpan, batch_id: u64) -> CopyChunks<'_> {
        let rows = self.rows.of_target(span.target);
        CopyChunks::new(rows, span.rows.clone(), &self.events, batch_id)
    }

    /// The events that decoding refused, by their number. The batch must be sealed.
    pub fn rejections(&self) -> impl Iterator<Item = (i32, &Rejection)> {
        self.rejections.iter().map(|(event, rejection)| (self.events.number_of(*event), rejection))
    }

    /// The event of this number, if there is one. The batch must be sealed.
    pub fn event(&self, number: i32) -> Option<EventRef<'_>> {
        self.events.get(number, &self.partitions)
    }
}

/// Empties a buffer for the next batch. Memory that this batch made little use of is given back,
/// so that one giant doesn't stay for ever.
fn recycle<T>(buffer: &mut Vec<T>) {
    const KEPT_BYTES: usize = 1 << 20;
    let used = buffer.len();
    buffer.clear();
    if buffer.capacity() * size_of::<T>() > KEPT_BYTES && buffer.capacity() / 4 > used {
        buffer.shrink_to(used * 2);
    }
}

#[cfg(test)]
mod tests;
