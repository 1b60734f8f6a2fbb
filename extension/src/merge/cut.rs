//! A batch cut into runs: consecutive events that don't interact, and so can be merged as one set.
//!
//! An event is applied by itself if it deletes where a delete has a say in other rows, or writes a
//! target whose rows are walked. Any other one begins a new run if it touches a key that the run
//! touches; but a row may replace an earlier one of the same key, and is ignored after one where the
//! policy says so. What other rows may need (parents, unique values) is judged within a run: see
//! [`judge`](super::judge).

use std::collections::HashMap;

use pgrx::pg_sys::ItemPointerData;

use super::batch::{Batch, Part};
use crate::failpoint;
use crate::target::Policy;

/// A staged row: where it stands, and what it asks for.
#[derive(Debug)]
pub struct StagedRow {
    /// The event's number in the batch.
    pub event: i32,
    /// Its number in the event.
    pub row: i32,
    /// The part that it belongs to.
    pub part: usize,
    /// Whether it deletes.
    pub deletes: bool,
    /// The columns that it names; none for all.
    pub given: Option<Vec<i16>>,
    /// Its place in the staging table.
    pub place: ItemPointerData,
    /// Its key, as a number that equal keys of a part share.
    pub key: i64,
    /// Whether the key is null.
    pub has_null_key: bool,
}

/// Consecutive events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first one.
    pub first: i32,
    /// The last one.
    pub last: i32,
}

impl Run {
    /// All events of any batch.
    pub const ALL: Run = Run { first: 0, last: i32::MAX };

    /// Its rows, of all rows in order.
    pub fn rows<'a>(&self, rows: &'a [StagedRow]) -> &'a [StagedRow] {
        let begin = rows.partition_point(|row| row.event < self.first);
        let end = rows.partition_point(|row| row.event <= self.last);
        &rows[begin..end]
    }
}

/// How a run is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// As one set.
    Set(Run),
    /// Event by event.
    Walk(Run),
}

/// Whether the whole batch is one run, found without reading its rows.
pub fn is_one_run(batch: &Batch) -> bool {
    if failpoint::is_mutant("no_cut") {
        return true;
    }
    !batch.is_walked()
        && batch.parts.iter().all(|part| {
            let is_replaceable = batch.is_replaceable(part) && !part.repeats_key_in_event;
            let may_repeat =
                part.deletes == 0 && (is_replaceable || part.target.policy == Policy::Ignore);
            !part.is_walked()
                && (part.deletes == 0 || !part.is_entangled())
                && (!part.repeats_key || may_repeat)
        })
}

/// Cuts a batch whose rows are these, in order of (event, row). Runs of fewer than `walk_below` rows
/// are walked, and neighbours that are walked are walked together.
pub fn cut(batch: &Batch, rows: &[StagedRow], walk_below: i64) -> Vec<Step> {
    let mut cutter = Cutter {
        batch,
        walks_all: batch.is_walked(),
        touched: HashMap::new(),
        run: None,
        run_rows: 0,
        steps: Vec::new(),
    };
    for event in rows.chunk_by(|one, next| one.event == next.event) {
        cutter.take(event, walk_below);
    }
    cutter.close(walk_below);
    cutter.steps
}

struct Cutter<'a> {
    batch: &'a Batch,
    walks_all: bool,
    /// What the run does to each key of each part.
    touched: HashMap<(usize, i64), Touch>,
    run: Option<Run>,
    run_rows: i64,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Touch {
    Upsert,
    Delete,
}

impl Cutter<'_> {
    fn take(&mut self, event: &[StagedRow], walk_below: i64) {
        let Some(number) = event.first().map(|row| row.event) else { return };
        if self.is_walked(event) || self.repeats_key(event) {
            self.close(walk_below);
            self.push(Step::Walk(Run { first: number, last: number }));
            return;
        }
        if event.iter().any(|row| self.interacts(row)) {
            self.close(walk_below);
        }
        let run = self.run.get_or_insert(Run { first: number, last: number });
        run.last = number;
        self.run_rows += event.len() as i64;
        for row in event {
            let touch = if row.deletes { Touch::Delete } else { Touch::Upsert };
            self.touched.insert((row.part, row.key), touch);
        }
    }

    fn part(&self, row: &StagedRow) -> &Part {
        &self.batch.parts[row.part]
    }

    fn is_walked(&self, event: &[StagedRow]) -> bool {
        self.walks_all
            || event.iter().any(|row| {
                let part = self.part(row);
                part.is_walked() || (row.deletes && part.is_entangled())
            })
    }

    /// Whether an event touches one key twice: what only its last row violates at the event's end is
    /// not what each of them does. Where the second is ignored it does not matter.
    fn repeats_key(&self, event: &[StagedRow]) -> bool {
        event.iter().enumerate().any(|(number, row)| {
            let target = &self.part(row).target;
            !target.key.is_empty()
                && event[..number].iter().any(|other| {
                    let is_ignored =
                        target.policy == Policy::Ignore && !row.deletes && !other.deletes;
                    other.part == row.part && other.key == row.key && !is_ignored
                })
        })
    }

    fn interacts(&self, row: &StagedRow) -> bool {
        if self.part(row).target.key.is_empty() {
            return false;
        }
        match self.touched.get(&(row.part, row.key)) {
            None => false,
            Some(_) if failpoint::is_mutant("deletes_last") => false,
            Some(Touch::Delete) => true,
            Some(Touch::Upsert) => !self.may_follow(row),
        }
    }

    /// Whether a row may follow an upsert of the same key in a set.
    fn may_follow(&self, row: &StagedRow) -> bool {
        let part = self.part(row);
        !row.deletes && (self.batch.is_replaceable(part) || part.target.policy == Policy::Ignore)
    }

    fn close(&mut self, walk_below: i64) {
        if let Some(run) = self.run.take() {
            let is_worth_a_set = self.run_rows >= walk_below;
            self.push(if is_worth_a_set { Step::Set(run) } else { Step::Walk(run) });
        }
        self.touched.clear();
        self.run_rows = 0;
    }

    fn push(&mut self, step: Step) {
        match (self.steps.last_mut(), step) {
            (Some(Step::Walk(walked)), Step::Walk(next)) => walked.last = next.last,
            _ => self.steps.push(step),
        }
    }
}
