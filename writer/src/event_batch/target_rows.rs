//! Encoded rows, one growing buffer per target.

use super::key_prefix::KeyPrefix;
use super::recycle;
use crate::catalog::{CopyFormat, TargetIndex};
use crate::rejection::{Rejection, SqlState};

/// The rows of one target.
#[derive(Debug, Default)]
pub(super) struct TargetRows {
    /// Rows of a COPY, one after the other, with `_batch` and `_event` still empty.
    pub bytes: Vec<u8>,
    /// The COPY's format; none if there never was a row.
    pub format: Option<CopyFormat>,
    /// Where each row begins, the index of its event, and what it is ordered by.
    pub starts: Vec<RowStart>,
    /// Indexes of `starts` in the order of the keys, once they are in order.
    pub in_key_order: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RowStart {
    pub event: u32,
    pub start: usize,
    pub key: KeyPrefix,
}

impl TargetRows {
    /// The bytes of a row.
    pub fn row(&self, index: usize) -> &[u8] {
        let end = self.starts.get(index + 1).map_or(self.bytes.len(), |next| next.start);
        &self.bytes[self.starts[index].start..end]
    }
}

/// The buffers of all targets, and what it takes to undo the event that is being decoded.
#[derive(Debug, Default)]
pub(crate) struct RowBuffers {
    targets: Vec<TargetRows>,
    row_count: usize,
    byte_count: usize,
    event: u32,
    event_rows: i32,
    event_bytes: usize,
    event_limit: usize,
    /// Where the targets that this event has rows of stood before it.
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Mark {
    target: usize,
    bytes: usize,
    rows: usize,
}

impl RowBuffers {
    /// Begins an event. Its rows may take much more than its payload, since columns that it
    /// doesn't name take room too, but not any amount.
    pub fn begin_event(&mut self, event: u32, payload_length: usize) {
        const LEAST_LIMIT: usize = 64 << 20;
        self.event = event;
        self.event_rows = 0;
        self.event_bytes = 0;
        self.event_limit = LEAST_LIMIT.saturating_add(payload_length.saturating_mul(4));
        self.marks.clear();
    }

    /// Takes back all rows of the event.
    pub fn roll_back_event(&mut self) {
        for mark in self.marks.drain(..) {
            let rows = &mut self.targets[mark.target];
            rows.bytes.truncate(mark.bytes);
            rows.starts.truncate(mark.rows);
        }
        self.row_count -= self.event_rows as usize;
        self.byte_count -= self.event_bytes;
        self.event_rows = 0;
        self.event_bytes = 0;
    }

    /// Appends one row of the event, which `write` writes into the buffer, knowing the row's
    /// number in its event, and answers the begin of its key. If that fails, the event has to be rolled
    /// back.
    pub fn append(
        &mut self,
        target: TargetIndex,
        format: CopyFormat,
        write: impl FnOnce(&mut Vec<u8>, i32) -> Result<KeyPrefix, Rejection>,
    ) -> Result<(), Rejection> {
        let TargetIndex(target) = target;
        if target >= self.targets.len() {
            self.targets.resize_with(target + 1, TargetRows::default);
        }
        let rows = &mut self.targets[target];
        rows.format = Some(format);
        let start = rows.bytes.len();
        if rows.starts.last().is_none_or(|last| last.event != self.event) {
            self.marks.push(Mark { target, bytes: start, rows: rows.starts.len() });
        }
        let key = KeyPrefix::default();
        rows.starts.push(RowStart { event: self.event, start, key });
        self.row_count += 1;
        let number = self.event_rows;
        self.event_rows += 1;
        let written = write(&mut rows.bytes, number);
        if let (Ok(key), Some(row)) = (&written, rows.starts.last_mut()) {
            row.key = *key;
        }
        let bytes = rows.bytes.len() - start + size_of::<RowStart>() + size_of::<u32>();
        self.byte_count += bytes;
        self.event_bytes += bytes;
        if written.is_ok() && self.event_bytes > self.event_limit {
            return Err(Rejection::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("the event's rows take more than {} bytes", self.event_limit),
            ));
        }
        written.map(drop)
    }

    /// Puts the rows of each target in the order of their keys.
    pub fn sort(&mut self) {
        for TargetRows { starts, in_key_order, .. } in &mut self.targets {
            in_key_order.clear();
            in_key_order.extend(0..starts.len() as u32);
            in_key_order.sort_by_key(|index| starts[*index as usize].key);
        }
    }

    pub fn row_count(&self) -> usize {
        self.row_count
    }

    pub fn byte_count(&self) -> usize {
        self.byte_count
    }

    pub fn clear(&mut self) {
        for rows in &mut self.targets {
            recycle(&mut rows.bytes);
            recycle(&mut rows.starts);
            recycle(&mut rows.in_key_order);
        }
        self.marks.clear();
        self.row_count = 0;
        self.byte_count = 0;
    }

    pub fn targets(&self) -> impl Iterator<Item = (TargetIndex, u64)> {
        let filled = self.targets.iter().enumerate().filter(|(_, rows)| !rows.starts.is_empty());
        filled.map(|(index, rows)| (TargetIndex(index), rows.starts.len() as u64))
    }

    pub(super) fn of_target(&self, target: TargetIndex) -> Option<&TargetRows> {
        self.targets.get(target.0)
    }
}
