//! The merge: staged rows become rows of their targets, and events are rejected one by one.
//!
//! A batch means: each event in order, alone, in its own savepoint; its foreign keys are checked at
//! its end, any violation rejects the whole event. To do that in few statements
//!
//! - [`batch`] counts what is staged,
//! - [`cut`] finds runs of events that don't interact,
//! - [`look`] finds what a run would violate, and [`judge`] which events are rejected for it,
//! - [`set`] takes a run at once, for which [`writer`] writes each target's rows, and [`expected`] says
//!   when it need not ask first what is stored,
//! - [`walk`] applies events to the letter: those that interact, and those of a run that raised.

mod answer;
mod batch;
mod cut;
mod expected;
mod judge;
mod look;
mod runner;
mod set;
mod stored;
mod walk;
mod writer;

use pgrx::JsonB;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use serde_json::json;

use crate::attempt::Raised;
use crate::{description, failpoint};
use answer::Answer;
pub use answer::Rejection;
pub use batch::batch_argument;
use batch::{Batch, Staged};
use cut::is_one_run;
use runner::{Merged, Runner};
use set::{Care, Cost};

/// Merges the rows that this transaction has staged in `slot`: `rows[i]` of them for
/// `relations[i]`, but for the events in `rejected`. An event that raises the SQLSTATE `suspected` is
/// rejected, too, if others are merged. The rows of the targets `ordered` stand in the order of their keys.
///
/// Answers as `forebay.merge` does, or with the error that it is to raise: `{"error": {…}}`.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn merge_staged(
    slot: Option<i32>,
    relations: Vec<Oid>,
    rows: Vec<i64>,
    rejected: Vec<i32>,
    suspected: Option<&str>,
    ordered: Vec<Oid>,
) -> JsonB {
    failpoint::hit("merge.after_fence");
    let staged = Staged { relations, rows, ordered };
    match merge(slot, &staged, &rejected, suspected) {
        Ok(answer) => JsonB(json!(answer)),
        Err(raised) => {
            description::forget();
            JsonB(json!({ "error": raised }))
        }
    }
}

fn merge(
    slot: Option<i32>,
    staged: &Staged,
    rejected: &[i32],
    suspected: Option<&str>,
) -> Result<Answer, Raised> {
    if staged.relations.is_empty() {
        return Ok(Answer { path: "set", ..Answer::default() });
    }
    let slot = slot.ok_or_else(|| Raised::new("22023", "rows are staged, but no slot is named"))?;
    let mut batch = Batch::open(slot, staged, rejected)?;
    let mut care = Care::Hopeful;
    let mut cost = Cost { subtransactions: 1, ..Cost::default() };
    if suspected.is_some() || !is_one_run(&batch) {
        batch.know_keys()?;
    }
    loop {
        match Runner::new(&batch, suspected, care, cost).merge()? {
            Merged::Done(answer) => {
                failpoint::hit("merge.after_write");
                return Ok(answer);
            }
            Merged::Again(more_care, spent) => (care, cost) = (more_care, spent),
        }
        batch.know_keys()?;
    }
}
