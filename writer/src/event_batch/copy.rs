//! A target's rows as a binary COPY.

use bytes::{BufMut, Bytes, BytesMut};

use super::event::Events;
use super::target_rows::TargetRows;
use crate::decode::{BATCH_AT, EVENT_AT};

/// Bytes per chunk, about; a row is not divided.
const CHUNK: usize = 128 << 10;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The chunks of one COPY: the header with the first rows, more rows, and last the trailer alone.
#[derive(Debug)]
pub struct CopyChunks<'a> {
    rows: Option<&'a TargetRows>,
    events: &'a Events,
    batch_id: u64,
    next_row: usize,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Done,
}

impl<'a> CopyChunks<'a> {
    pub(super) fn new(rows: Option<&'a TargetRows>, events: &'a Events, batch_id: u64) -> Self {
        Self { rows, events, batch_id, next_row: 0, state: State::Header }
    }

    /// Copies rows until the chunk is full, and fills in what was not known when they were encoded.
    fn put_rows(&mut self, chunk: &mut BytesMut) {
        let Some(rows) = self.rows else { return };
        let pending = &rows.starts[self.next_row..];
        let Some(first) = pending.first() else { return };
        let room = CHUNK.saturating_sub(chunk.len());
        let count = pending.partition_point(|row| row.start - first.start < room).max(1);
        let end = pending.get(count).map_or(rows.bytes.len(), |row| row.start);
        let offset = chunk.len();
        chunk.extend_from_slice(&rows.bytes[first.start..end]);
        for row in &pending[..count] {
            let row_at = offset + row.start - first.start;
            let number = self.events.number_of(row.event);
            chunk[row_at + BATCH_AT..][..8].copy_from_slice(&self.batch_id.to_be_bytes());
            chunk[row_at + EVENT_AT..][..4].copy_from_slice(&number.to_be_bytes());
        }
        self.next_row += count;
    }
}

impl Iterator for CopyChunks<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        match self.state {
            State::Header => {
                chunk.put_slice(SIGNATURE);
                chunk.put_i32(0); // flags
                chunk.put_i32(0); // length of the header's extension
                self.state = State::Rows;
                self.put_rows(&mut chunk);
            }
            State::Rows => {
                self.put_rows(&mut chunk);
                if chunk.is_empty() {
                    chunk.put_i16(-1);
                    self.state = State::Done;
                }
            }
            State::Done => return None,
        }
        Some(chunk.freeze())
    }
}
