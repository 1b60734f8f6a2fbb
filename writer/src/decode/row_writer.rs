//! Writes rows of staging tables into the batch's buffers.

use std::ops::Range;

use super::copy_text;
use crate::catalog::{Column, CopyFormat, Target, TargetIndex};
use crate::encode::field;
use crate::event_batch::{KeyPrefix, KeyPrefixBuilder, MOST_KEY_COLUMNS, RowBuffers};
use crate::rejection::Rejection;

/// Where `_batch`'s bytes are in a binary row: after the number of fields and its own length.
pub(crate) const BATCH_AT: usize = 2 + 4;

/// Where `_event`'s bytes are in a binary row.
pub(crate) const EVENT_AT: usize = BATCH_AT + 8 + 4;

/// Where the first of the target's columns is in a binary row that names all of them: after
/// `_event`, `_row`, `_op` and the absent `_given`, and its own length.
pub(crate) const FIRST_COLUMN_AT: usize = EVENT_AT + 4 + (4 + 4) + (4 + 1) + 4 + 4;

/// The places of `_batch` and `_event` in a row of text, wide enough for all of their values. The
/// types skip blanks before a number.
pub(crate) const TEXT_BATCH: Range<usize> = 0..20;
pub(crate) const TEXT_EVENT: Range<usize> = 21..31;

/// A field begins with its length.
const FIELD_LENGTH: usize = 4;

/// The columns of a staging table that stand before the target's.
const LEADING_COLUMNS: usize = 5;

/// What an event wants done with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Written, as the target's policy says.
    Upsert,
    /// Deleted by key.
    Delete,
}

/// Takes the rows of the event that is being decoded.
#[derive(Debug)]
pub struct RowWriter<'b> {
    rows: &'b mut RowBuffers,
}

impl<'b> RowWriter<'b> {
    pub(crate) fn new(rows: &'b mut RowBuffers) -> Self {
        Self { rows }
    }

    /// Writes one row of a target that is copied in binary; `encode` appends the field of each
    /// column in turn. `given` are the numbers of the columns that the event names, ascending; none
    /// if it names all.
    pub(crate) fn row(
        &mut self,
        index: TargetIndex,
        target: &Target,
        op: Op,
        given: Option<&[i16]>,
        mut encode: impl FnMut(usize, &Column, &mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        self.rows.append(index, CopyFormat::Binary, |out, row| {
            // A table has at most 1,600 columns.
            let fields = (LEADING_COLUMNS + target.columns().len()) as i16;
            out.extend_from_slice(&fields.to_be_bytes());
            field::fixed(&[0; 8], out); // _batch, patched when it is copied
            field::fixed(&[0; 4], out); // _event, likewise
            field::fixed(&row.to_be_bytes(), out);
            field::fixed(if op == Op::Upsert { b"u" } else { b"d" }, out);
            match given {
                None => field::null(out),
                Some(given) => int2_array(given, out),
            }
            let mut keys = [const { (None, 0..0) }; MOST_KEY_COLUMNS];
            for (position, column) in target.columns().iter().enumerate() {
                let start = out.len();
                encode(position, column, out)?;
                if let Some(key) = column.key_place.and_then(|place| keys.get_mut(place)) {
                    *key = (column.encoder, start + FIELD_LENGTH..out.len());
                }
            }
            let mut prefix = KeyPrefixBuilder::default();
            for (encoder, value) in keys {
                prefix.push(encoder, &out[value]);
            }
            Ok(prefix.finish())
        })
    }

    /// Writes one row of a target that is copied as text; `put` appends the escaped value of each
    /// column in turn. `given` is as for [`row`](Self::row).
    pub(crate) fn text_row(
        &mut self,
        index: TargetIndex,
        target: &Target,
        op: Op,
        given: Option<&[i16]>,
        mut put: impl FnMut(usize, &Column, &mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        self.rows.append(index, CopyFormat::Text, |out, row| {
            let start = out.len();
            out.resize(start + TEXT_EVENT.end, b' ');
            out[start + TEXT_BATCH.end] = copy_text::SEPARATOR;
            out.push(copy_text::SEPARATOR);
            copy_text::put_number(row, out);
            out.push(copy_text::SEPARATOR);
            out.push(if op == Op::Upsert { b'u' } else { b'd' });
            out.push(copy_text::SEPARATOR);
            match given {
                None => copy_text::put_null(out),
                Some(given) => copy_text::put_numbers(given, out),
            }
            for (position, column) in target.columns().iter().enumerate() {
                out.push(copy_text::SEPARATOR);
                put(position, column, out)?;
            }
            out.push(copy_text::END_OF_ROW);
            Ok(KeyPrefix::default())
        })
    }
}

/// Appends an `int2[]`.
fn int2_array(elements: &[i16], out: &mut Vec<u8>) {
    const INT2_OID: u32 = 21;
    let dimensions: u32 = if elements.is_empty() { 0 } else { 1 };
    out.extend_from_slice(&(12 + 8 * dimensions + 6 * elements.len() as u32).to_be_bytes());
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&0u32.to_be_bytes()); // no nulls
    out.extend_from_slice(&INT2_OID.to_be_bytes());
    if dimensions == 1 {
        out.extend_from_slice(&(elements.len() as u32).to_be_bytes());
        out.extend_from_slice(&1u32.to_be_bytes()); // first index
    }
    for element in elements {
        field::fixed(&element.to_be_bytes(), out);
    }
}
