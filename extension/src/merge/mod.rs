//! The merge: staged rows become rows of their targets, and events are rejected one by one.
//!
//! A batch means: each event in order, alone, in its own savepoint; its foreign keys are checked at
//! its end, any violation rejects the whole event. [`set`] does that at once for a batch whose
//! events plainly do not interact; [`walk`] does it to the letter, for any other batch, and for one
//! that raises.

mod answer;
mod batch;
mod set;
mod walk;

use pgrx::JsonB;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use serde_json::json;

use crate::attempt::Raised;
use crate::failpoint;
use answer::Answer;
pub use answer::Rejection;
use batch::Batch;
pub use batch::batch_argument;

/// Merges the rows that this transaction has staged in `slot`: `rows[i]` of them for
/// `relations[i]`, but for the events in `rejected`.
///
/// Answers as `forebay.merge` does, or with the error that it is to raise: `{"error": {…}}`.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn merge_staged(
    slot: Option<i32>,
    relations: Vec<Oid>,
    rows: Vec<i64>,
    rejected: Vec<i32>,
) -> JsonB {
    failpoint::hit("merge.after_fence");
    match merge(slot, &relations, &rows, &rejected) {
        Ok(answer) => JsonB(json!(answer)),
        Err(raised) => JsonB(json!({ "error": raised })),
    }
}

fn merge(
    slot: Option<i32>,
    relations: &[Oid],
    rows: &[i64],
    rejected: &[i32],
) -> Result<Answer, Raised> {
    if relations.is_empty() {
        return Ok(Answer::of_nothing());
    }
    let slot = slot.ok_or_else(|| Raised::new("22023", "rows are staged, but no slot is named"))?;
    let batch = Batch::open(slot, relations, rows, rejected)?;
    failpoint::hit("merge.before_write");
    let answer = match set::merge(&batch)? {
        Some(answer) => answer,
        None => walk::merge(&batch)?,
    };
    failpoint::hit("merge.after_write");
    Ok(answer)
}
