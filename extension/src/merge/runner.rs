//! A batch merged run by run.

use std::collections::VecDeque;
use std::time::Instant;

use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::answer::{Answer, Rejection, Seconds, Tally};
use super::batch::{Batch, batch_argument};
use super::cut::{Run, StagedRow, Step, cut, is_one_run};
use super::set::{self, Care, Cost, Outcome};
use super::walk::Walk;
use crate::attempt::{Attempt, Raised, attempt};
use crate::failpoint;
use crate::identity::as_table_owner;
use crate::query::query;

/// How many events are walked first where a run turns out to move unique values.
const FIRST_STRETCH: i32 = 64;

/// What became of a batch.
pub enum Merged {
    /// It is merged.
    Done(Answer),
    /// Nothing is written: to be merged again, with this much care, when it is known which keys stand
    /// twice. So much it cost.
    Again(Care, Cost),
}

/// Merges a batch.
pub struct Runner<'a> {
    batch: &'a Batch,
    suspected: Option<&'a str>,
    care: Care,
    /// All rows in order of (event, row), once they are needed.
    rows: Option<Vec<StagedRow>>,
    walk: Walk<'a>,
    tallies: Vec<Tally>,
    rejected: Vec<Rejection>,
    runs: u32,
    cost: Cost,
    /// How many events are walked next where a run moves unique values.
    stretch: i32,
}

impl<'a> Runner<'a> {
    /// Nothing is merged yet, and so much spent. If an SQLSTATE is suspected, all events are walked.
    pub fn new(batch: &'a Batch, suspected: Option<&'a str>, care: Care, cost: Cost) -> Self {
        Runner {
            batch,
            suspected,
            care,
            rows: None,
            walk: Walk::new(batch, suspected),
            tallies: batch.parts.iter().map(|part| Tally::of(&part.target)).collect(),
            rejected: Vec::new(),
            runs: 0,
            cost,
            stretch: FIRST_STRETCH,
        }
    }

    /// Merges all of it.
    pub fn merge(mut self) -> Result<Merged, Raised> {
        let mut steps = VecDeque::from(self.steps()?);
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Walk(run) => self.walk(run)?,
                Step::Set(run) => match self.merge_set(run)? {
                    Outcome::Merged { tallies, rejected } => self.keep(&tallies, rejected),
                    Outcome::Unforeseen => self.walk(run)?,
                    Outcome::Again(care) => return Ok(Merged::Again(care, self.cost)),
                    Outcome::Moves(event) => {
                        for step in self.split(run, event)?.into_iter().rev() {
                            steps.push_front(step);
                        }
                    }
                },
            }
        }
        self.answer().map(Merged::Done)
    }

    fn steps(&mut self) -> Result<Vec<Step>, Raised> {
        if self.suspected.is_some() {
            return Ok(vec![Step::Walk(Run::ALL)]);
        }
        if is_one_run(self.batch) {
            return Ok(vec![Step::Set(Run::ALL)]);
        }
        let batch = self.batch;
        Ok(cut(batch, self.rows()?, failpoint::walk_below()))
    }

    fn merge_set(&mut self, run: Run) -> Result<Outcome, Raised> {
        let upserts = self.upserts(run)?;
        set::merge(self.batch, run, &upserts, self.care, &mut self.cost)
    }

    /// For each part, its rows in a run that don't delete.
    fn upserts(&mut self, run: Run) -> Result<Vec<i64>, Raised> {
        let parts = &self.batch.parts;
        if run == Run::ALL {
            return Ok(parts.iter().map(|part| part.rows - part.deletes).collect());
        }
        let mut upserts = vec![0; parts.len()];
        for row in run.rows(self.rows()?).iter().filter(|row| !row.deletes) {
            upserts[row.part] += 1;
        }
        Ok(upserts)
    }

    fn keep(&mut self, tallies: &[Tally], rejected: Vec<Rejection>) {
        self.runs += 1;
        self.rejected.extend(rejected);
        for (tally, of_run) in self.tallies.iter_mut().zip(tallies) {
            tally.add(of_run);
        }
    }

    /// What comes of a run in which an event moves a unique value: those before it may still be a set,
    /// and some from it on are walked, more each time.
    fn split(&mut self, run: Run, mover: i32) -> Result<Vec<Step>, Raised> {
        let stretch = self.stretch;
        self.stretch = stretch.saturating_mul(2);
        let rows = run.rows(self.rows()?);
        let before = rows.iter().take_while(|row| row.event < mover).count() as i64;
        let last_walked = mover.saturating_add(stretch).min(run.last);
        let mut steps = Vec::new();
        if before > 0 {
            let before_mover = Run { first: run.first, last: mover - 1 };
            steps.push(if before >= failpoint::walk_below() {
                Step::Set(before_mover)
            } else {
                Step::Walk(before_mover)
            });
        }
        steps.push(Step::Walk(Run { first: mover, last: last_walked }));
        if last_walked < run.last && rows.last().is_some_and(|row| row.event > last_walked) {
            steps.push(Step::Set(Run { first: last_walked + 1, last: run.last }));
        }
        Ok(steps)
    }

    fn walk(&mut self, run: Run) -> Result<(), Raised> {
        let started = Instant::now();
        self.rows()?;
        let rows = run.rows(self.rows.as_deref().unwrap_or_default());
        self.walk.merge(rows)?;
        self.cost.write += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn rows(&mut self) -> Result<&[StagedRow], Raised> {
        if self.rows.is_none() {
            let started = Instant::now();
            let batch = self.batch;
            self.cost.subtransactions += 1;
            self.rows = Some(attempt(|attempt| staged_rows(attempt, batch))?);
            self.cost.look += started.elapsed().as_secs_f64();
        }
        Ok(self.rows.as_deref().unwrap_or_default())
    }

    fn answer(mut self) -> Result<Answer, Raised> {
        for (tally, walked) in self.tallies.iter_mut().zip(&self.walk.tallies) {
            tally.add(walked);
        }
        self.rejected.append(&mut self.walk.rejected);
        self.rejected.sort_by_key(|rejection| rejection.event);
        self.accuse()?;
        Ok(Answer {
            path: match (self.runs, self.walk.events) {
                (_, 0) => "set",
                (0, _) => "walk",
                _ => "mixed",
            },
            runs: self.runs,
            walked: self.walk.events,
            unforeseen: self.cost.unforeseen,
            subtransactions: self.cost.subtransactions + self.walk.subtransactions,
            targets: self.tallies,
            rejected: self.rejected,
            seconds: Seconds {
                count: self.batch.count_seconds,
                look: self.cost.look,
                write: self.cost.write,
            },
        })
    }

    /// A suspected SQLSTATE that every event raises is the world's fault after all.
    fn accuse(&self) -> Result<(), Raised> {
        let Some(suspected) = self.suspected else { return Ok(()) };
        let mut accused = self.rejected.iter().filter(|rejection| rejection.sqlstate == suspected);
        let merged = self.walk.events as usize - self.rejected.len();
        match accused.next() {
            Some(rejection) if merged == 0 => {
                Err(Raised::new(suspected, rejection.message.clone()))
            }
            _ => Ok(()),
        }
    }
}

/// All rows of the batch, in order of (event, row).
fn staged_rows(attempt: &Attempt, batch: &Batch) -> Result<Vec<StagedRow>, Raised> {
    let mut rows = Vec::new();
    for (number, part) in batch.parts.iter().enumerate() {
        as_table_owner(attempt, part.target.owner(), || read_rows(batch, number, &mut rows))?;
    }
    rows.sort_by_key(|row| (row.event, row.row));
    Ok(rows)
}

fn read_rows(batch: &Batch, part: usize, rows: &mut Vec<StagedRow>) -> Result<(), Raised> {
    Spi::connect_mut(|client| {
        let has_keys = !batch.parts[part].has_bad_key;
        let sql = batch.parts[part].staging().row_places(has_keys);
        let size = batch.parts[part].size;
        for tuple in query(client, &sql, size, &[batch_argument(batch.id)])?.iter() {
            let unplaced = || Raised::new("XX000", "a staged row without a place");
            rows.push(StagedRow {
                event: tuple.get::<i32>(1)?.ok_or_else(unplaced)?,
                row: tuple.get::<i32>(2)?.ok_or_else(unplaced)?,
                part,
                deletes: tuple.get::<bool>(3)?.unwrap_or(false),
                given: tuple.get::<Vec<i16>>(4)?,
                place: tuple.get::<ItemPointerData>(5)?.ok_or_else(unplaced)?,
                key: tuple.get::<i64>(6)?.ok_or_else(unplaced)?,
                has_null_key: tuple.get::<bool>(7)?.unwrap_or(false),
            });
        }
        Ok(())
    })
}
