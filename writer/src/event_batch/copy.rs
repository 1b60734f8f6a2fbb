//! A target's rows as a COPY, in binary or as text.

use std::io::Write as _;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::event::Events;
use super::target_rows::TargetRows;
use crate::catalog::CopyFormat;
use crate::decode::{BATCH_AT, EVENT_AT, TEXT_BATCH, TEXT_EVENT};

/// Bytes per chunk, about; a row is not divided.
const CHUNK: usize = 128 << 10;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The chunks of one COPY: in binary, the header with the first rows, more rows, and last the
/// trailer alone; as text, the rows.
#[derive(Debug)]
pub struct CopyChunks<'a> {
    rows: Option<&'a TargetRows>,
    events: &'a Events,
    batch_id: u64,
    pending: Range<usize>,
    /// Whether all rows are copied, and so in the order of their keys.
    is_whole: bool,
    format: CopyFormat,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Done,
}

impl<'a> CopyChunks<'a> {
    /// The rows of this range.
    pub(super) fn new(
        rows: Option<&'a TargetRows>,
        range: Range<usize>,
        events: &'a Events,
        batch_id: u64,
    ) -> Self {
        let format = rows.and_then(|rows| rows.format).unwrap_or(CopyFormat::Binary);
        let is_whole = rows.is_some_and(|rows| range == (0..rows.starts.len()));
        Self { rows, events, batch_id, pending: range, is_whole, format, state: State::Header }
    }

    /// Copies rows until the chunk is full, and fills in what was not known when they were encoded.
    fn put_rows(&mut self, chunk: &mut BytesMut) {
        let Some(rows) = self.rows else { return };
        while chunk.len() < CHUNK
            && let Some(place) = self.pending.next()
        {
            let index = if self.is_whole { rows.in_key_order[place] as usize } else { place };
            let offset = chunk.len();
            chunk.extend_from_slice(rows.row(index));
            let number = self.events.number_of(rows.starts[index].event);
            self.fill_in(&mut chunk[offset..], number);
        }
    }

    fn fill_in(&self, row: &mut [u8], number: i32) {
        match self.format {
            CopyFormat::Binary => {
                row[BATCH_AT..][..8].copy_from_slice(&self.batch_id.to_be_bytes());
                row[EVENT_AT..][..4].copy_from_slice(&number.to_be_bytes());
            }
            CopyFormat::Text => {
                // Both are as wide as their numbers can be.
                let (width, batch_id) = (TEXT_BATCH.len(), self.batch_id);
                let _ = write!(&mut row[TEXT_BATCH], "{batch_id:width$}");
                let width = TEXT_EVENT.len();
                let _ = write!(&mut row[TEXT_EVENT], "{number:width$}");
            }
        }
    }
}

impl Iterator for CopyChunks<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        match self.state {
            State::Header => {
                if self.format == CopyFormat::Binary {
                    chunk.put_slice(SIGNATURE);
                    chunk.put_i32(0); // flags
                    chunk.put_i32(0); // length of the header's extension
                }
                self.state = State::Rows;
                self.put_rows(&mut chunk);
            }
            State::Rows => {
                self.put_rows(&mut chunk);
                if chunk.is_empty() {
                    self.state = State::Done;
                    if self.format == CopyFormat::Text {
                        return None;
                    }
                    chunk.put_i16(-1);
                }
            }
            State::Done => return None,
        }
        Some(chunk.freeze())
    }
}
