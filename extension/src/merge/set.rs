//! A run merged as one set: look, reject what would violate something, write once.

use std::time::Instant;

use pgrx::pg_sys::{self, Datum};
use pgrx::prelude::*;

use super::answer::{Rejection, Tally};
use super::batch::{Batch, Part, batch_argument};
use super::cut::Run;
use super::look::{Stored, look, look_at_stored, run_arguments};
use crate::attempt::{Attempt, Raised, attempt};
use crate::failpoint;
use crate::identity::as_table_owner;
use crate::plan::{Plan, query_level};
use crate::policy::{Fault, fault_of};
use crate::statement::shape::Shape;
use crate::target::Policy;

/// What became of a run.
pub enum Outcome {
    /// It is merged, but for the rejected events.
    Merged {
        /// What became of the rows of each part.
        tallies: Vec<Tally>,
        /// The rejected events, in order.
        rejected: Vec<Rejection>,
    },
    /// Nothing is written: this event moves a value that another unique index looks at.
    Moves(i32),
    /// Nothing is written: something raised that no look foresaw.
    Unforeseen,
}

/// Another session has written what was looked at; never seen outside.
const STALE: &str = "40001";

/// What merging a run costs, for the answer.
#[derive(Debug, Default)]
pub struct Cost {
    /// Seconds of looking.
    pub look: f64,
    /// Seconds of writing.
    pub write: f64,
    /// Subtransactions.
    pub subtransactions: u32,
    /// How many writes raised.
    pub unforeseen: u32,
}

/// Merges a run as a set. When the write raises what may be an event's fault, looks once more, at
/// everything: what another session has done meanwhile can be foreseen then.
pub fn merge(batch: &Batch, run: Run, cost: &mut Cost) -> Result<Outcome, Raised> {
    for thorough in [false, true] {
        let Some((stored, rejected)) = foresee(batch, run, thorough, cost)? else {
            return Ok(Outcome::Unforeseen);
        };
        let rejected = match rejected {
            Foreseen::Moves(event) => return Ok(Outcome::Moves(event)),
            Foreseen::Rejected(rejected) => rejected,
        };
        let started = Instant::now();
        cost.subtransactions += 1;
        failpoint::hit("merge.before_write");
        let written = attempt(|attempt| write(attempt, batch, run, stored, &rejected));
        cost.write += started.elapsed().as_secs_f64();
        match written {
            Ok(tallies) => return Ok(Outcome::Merged { tallies, rejected }),
            Err(raised) if raised.sqlstate == STALE || may_be_an_events(&raised) => {
                cost.unforeseen += 1;
            }
            Err(raised) => return Err(raised),
        }
    }
    Ok(Outcome::Unforeseen)
}

enum Foreseen {
    Moves(i32),
    Rejected(Vec<Rejection>),
}

/// Looks, and judges. Before anything is rejected, looks again with a fresh snapshot. Nothing: a look
/// itself raised what may be an event's fault, or is not clear.
fn foresee(
    batch: &Batch,
    run: Run,
    thorough: bool,
    cost: &mut Cost,
) -> Result<Option<(Vec<Stored>, Foreseen)>, Raised> {
    let mut looked_again = failpoint::is_mutant("stale_look");
    loop {
        let started = Instant::now();
        cost.subtransactions += 1;
        let looked = attempt(|attempt| look(attempt, batch, run, thorough));
        cost.look += started.elapsed().as_secs_f64();
        failpoint::hit("merge.after_look");
        let (stored, findings) = match looked {
            Ok(found) => found,
            Err(raised) if may_be_an_events(&raised) => return Ok(None),
            Err(raised) => return Err(raised),
        };
        if let Some(event) = findings.first_mover {
            return Ok(Some((stored, Foreseen::Moves(event))));
        }
        if findings.is_unclear {
            return Ok(None);
        }
        let rejected = findings.judge(batch);
        if rejected.is_empty() || looked_again {
            return Ok(Some((stored, Foreseen::Rejected(rejected))));
        }
        looked_again = true;
    }
}

fn may_be_an_events(raised: &Raised) -> bool {
    fault_of(&raised.sqlstate) == Fault::Event
}

/// Writes all parts. Targets of one owner share a query level, so that foreign keys among them are
/// checked when all of them are written; after-triggers run as the owner of their own table.
fn write(
    attempt: &Attempt,
    batch: &Batch,
    run: Run,
    mut stored: Vec<Stored>,
    rejected: &[Rejection],
) -> Result<Vec<Tally>, Raised> {
    if !rejected.is_empty() {
        remove(batch, rejected)?;
        stored = look_at_stored(attempt, batch, run)?;
        if batch.parts.iter().zip(&stored).any(|(part, stored)| conflicts(part, stored)) {
            return Err(stale());
        }
    }
    let mut tallies = Vec::with_capacity(batch.parts.len());
    let parts: Vec<_> = batch.parts.iter().zip(&stored).collect();
    for group in parts.chunk_by(|(one, _), (next, _)| one.target.owner() == next.target.owner()) {
        let Some((first, _)) = group.first() else { continue };
        as_table_owner(attempt, first.target.owner(), || {
            query_level(attempt, || {
                for (part, stored) in group {
                    tallies.push(Writer { batch, run, part, stored }.write()?);
                }
                Ok(())
            })
        })?;
    }
    Ok(tallies)
}

/// Whether a row that is stored by now is in the way of one that is left.
fn conflicts(part: &Part, stored: &Stored) -> bool {
    match part.target.policy {
        Policy::Insert => stored.stored > 0,
        Policy::Identical => stored.differing > 0,
        _ => false,
    }
}

fn remove(batch: &Batch, rejected: &[Rejection]) -> Result<(), Raised> {
    let events: Vec<i32> = rejected.iter().map(|rejection| rejection.event).collect();
    for part in &batch.parts {
        Spi::connect_mut(|client| {
            let arguments = [batch_argument(batch.id), events.clone().into()];
            client.update(part.staging().remove_events().as_str(), None, &arguments).map(drop)
        })?;
    }
    Ok(())
}

struct Writer<'a> {
    batch: &'a Batch,
    run: Run,
    part: &'a Part,
    stored: &'a Stored,
}

impl Writer<'_> {
    fn write(&self) -> Result<Tally, Raised> {
        let mut tally = Tally::of(&self.part.target);
        let deletes_last = failpoint::is_mutant("deletes_last");
        if self.deletes() && !deletes_last {
            tally.deleted = self.run(&self.part.staging_of(self.run).delete_given())?;
        }
        if self.stored.upserts > 0 {
            tally.updated = self.update()?;
            tally.inserted = self.insert()?;
        }
        if self.deletes() && deletes_last {
            tally.deleted = self.run(&self.part.staging_of(self.run).delete_given())?;
        }
        let upserts = self.stored.upserts as u64;
        tally.unchanged = upserts.saturating_sub(tally.inserted + tally.updated);
        Ok(tally)
    }

    /// Whether rows may be deleted: a target without key has none in any run.
    fn deletes(&self) -> bool {
        self.part.deletes > 0 && !self.part.target.key.is_empty()
    }

    fn update(&self) -> Result<u64, Raised> {
        let policy = self.part.target.policy;
        if !matches!(policy, Policy::Update | Policy::Newest) || self.stored.differing == 0 {
            return Ok(0);
        }
        let (shape, which) = (self.part.shape(), self.part.which());
        let staging = self.part.staging_of(self.run);
        if self.answers_true(&staging.lock_differing(&shape, which))? {
            return Err(stale());
        }
        let updated = self.run(&staging.update_differing(&shape, which))?;
        if updated != self.stored.differing as u64 { Err(stale()) } else { Ok(updated) }
    }

    fn insert(&self) -> Result<u64, Raised> {
        let staging = self.part.staging_of(self.run);
        let policy = self.part.target.policy;
        if policy == Policy::Ignore {
            return self.run(&staging.insert_ignoring(&self.part.shape()));
        }
        let is_new = self.stored.rows - self.stored.stored;
        if is_new == 0 && policy != Policy::Append {
            return Ok(0);
        }
        let looks = self.stored.stored > 0;
        let mut inserted = 0;
        for given in self.shapes() {
            let shape = given.as_deref().map_or(Shape::All, Shape::Some);
            let is_mixed = self.part.given.len() > 1;
            let sql = staging.insert_new(&shape, self.part.which(), looks, is_mixed);
            inserted += self.run(&sql)?;
        }
        if policy != Policy::Append && inserted != is_new as u64 {
            return Err(stale());
        }
        Ok(inserted)
    }

    /// The sets of columns that rows name.
    fn shapes(&self) -> Vec<Option<Vec<i16>>> {
        if self.part.given.is_empty() { vec![None] } else { self.part.given.clone() }
    }

    fn run(&self, sql: &str) -> Result<u64, Raised> {
        Spi::connect_mut(|_| {
            let types = [pg_sys::XID8OID, pg_sys::INT4OID, pg_sys::INT4OID];
            Plan::prepare(sql, &types)?.write(&[
                Datum::from(self.batch.id),
                Datum::from(self.run.first),
                Datum::from(self.run.last),
            ])
        })
    }

    fn answers_true(&self, sql: &str) -> Result<bool, Raised> {
        Spi::connect_mut(|client| {
            let row = client.update(sql, None, &run_arguments(self.batch, self.run))?.first();
            Ok(row.get::<bool>(1)?.unwrap_or(false))
        })
    }
}

fn stale() -> Raised {
    Raised::new(STALE, "another session has written what was looked at")
}
