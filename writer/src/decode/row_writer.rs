//! Writes rows of staging tables into the batch's buffers.

use crate::catalog::{Column, Target, TargetIndex};
use crate::encode::field;
use crate::event_batch::RowBuffers;
use crate::rejection::Rejection;

/// Where `_batch`'s bytes are in a row: after the number of fields and its own length.
pub(crate) const BATCH_AT: usize = 2 + 4;

/// Where `_event`'s bytes are in a row.
pub(crate) const EVENT_AT: usize = BATCH_AT + 8 + 4;

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

    /// Writes one row; `encode` appends the field of each column in turn. `given` are the numbers
    /// of the columns that the event names, ascending; none if it names all.
    pub(crate) fn row(
        &mut self,
        index: TargetIndex,
        target: &Target,
        op: Op,
        given: Option<&[i16]>,
        mut encode: impl FnMut(usize, &Column, &mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        self.rows.append(index, |out, row| {
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
            for (position, column) in target.columns().iter().enumerate() {
                encode(position, column, out)?;
            }
            Ok(())
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
