//! A run merged as one set: look, reject what would violate something, write once.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Instant;

use super::answer::{Rejection, Tally};
use super::batch::{Batch, Part};
use super::cut::Run;
use super::expected::{self, Expected};
use super::judge::Findings;
use super::look::{Scope, look, look_at_stored};
use super::stored::Stored;
use super::writer::{STALE, Writer, stale};
use crate::attempt::{Attempt, Raised, attempt};
use crate::failpoint;
use crate::identity::as_table_owner;
use crate::plan::{by_index, query_level};
use crate::policy::{Fault, fault_of};
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
    /// Nothing is written: to be merged again, with this much care, when it is known which keys stand
    /// twice.
    Again(Care),
}

/// `unique_violation`.
const DUPLICATE: &str = "23505";

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

/// How much is looked at before a run is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Care {
    /// What is expected to be stored is taken to be.
    Hopeful,
    /// What is stored with the keys, and all that no constraint would show by raising.
    Usual,
    /// Everything.
    Thorough,
}

impl Care {
    /// What is taken to be stored of the rows of a part.
    fn assumed(self, part: &Part) -> Expected {
        if self == Self::Hopeful { part.expected } else { Expected::Anything }
    }
}

/// A run to be merged.
#[derive(Clone, Copy)]
struct Job<'a> {
    batch: &'a Batch,
    run: Run,
    /// For each part, its rows in the run that don't delete.
    upserts: &'a [i64],
}

/// Merges a run as a set; its parts have so many rows that don't delete. When the write raises what
/// may be an event's fault, looks again, with more care: what another session has done meanwhile can
/// be foreseen then.
pub fn merge(
    batch: &Batch,
    run: Run,
    upserts: &[i64],
    care: Care,
    cost: &mut Cost,
) -> Result<Outcome, Raised> {
    let job = Job { batch, run, upserts };
    let assumes = |care: Care| job.assumed(care).iter().any(|one| *one != Expected::Anything);
    let mut care = if assumes(care) { care } else { care.max(Care::Usual) };
    loop {
        let Some((stored, rejected)) = job.foresee(care, cost)? else {
            if !batch.knows_keys() {
                return Ok(Outcome::Again(Care::Usual));
            }
            if care == Care::Hopeful {
                care = Care::Usual;
                continue;
            }
            return Ok(Outcome::Unforeseen);
        };
        let rejected = match rejected {
            Foreseen::Moves(_) if !batch.knows_keys() => return Ok(Outcome::Again(Care::Usual)),
            Foreseen::Moves(event) => return Ok(Outcome::Moves(event)),
            Foreseen::Rejected(rejected) => rejected,
        };
        let started = Instant::now();
        cost.subtransactions += 1;
        failpoint::hit("merge.before_write");
        let written = attempt(|attempt| job.write(attempt, care, &stored, &rejected));
        cost.write += started.elapsed().as_secs_f64();
        match written {
            Ok(tallies) => {
                job.note_habits(&tallies);
                return Ok(Outcome::Merged { tallies, rejected });
            }
            Err(raised) if raised.sqlstate == STALE || may_be_an_events(&raised) => {
                cost.unforeseen += 1;
                care = match care {
                    Care::Hopeful if job.was_mistaken(&raised) => Care::Usual,
                    Care::Hopeful | Care::Usual => Care::Thorough,
                    Care::Thorough => return Ok(Outcome::Unforeseen),
                };
                if !batch.knows_keys() {
                    return Ok(Outcome::Again(care));
                }
            }
            Err(raised) => return Err(raised),
        }
    }
}

enum Foreseen {
    Moves(i32),
    Rejected(Vec<Rejection>),
}

impl Job<'_> {
    /// For each part, what is taken to be stored of its rows.
    fn assumed(&self, care: Care) -> Vec<Expected> {
        self.batch.parts.iter().map(|part| care.assumed(part)).collect()
    }

    fn note_habits(&self, tallies: &[Tally]) {
        for (part, tally) in self.batch.parts.iter().zip(tallies) {
            if !part.target.key.is_empty() {
                expected::note(part.target.id, tally);
            }
        }
    }

    /// Whether a hopeful write has raised since something else is stored than was expected.
    fn was_mistaken(&self, raised: &Raised) -> bool {
        let is_mistake = |part: &&Part| match part.expected {
            Expected::New => raised.sqlstate == DUPLICATE && is_of_key(raised, part),
            Expected::Changed => raised.sqlstate == STALE,
            Expected::Anything | Expected::Same => false,
        };
        let mistakes: Vec<_> = self.batch.parts.iter().filter(is_mistake).collect();
        for part in &mistakes {
            expected::note_mistake(part.target.id);
        }
        !mistakes.is_empty()
    }

    /// Looks, and judges. Before anything is rejected, looks at the events concerned once more, with a
    /// fresh snapshot. Nothing: a look itself raised what may be an event's fault, or
    /// what it found is not clear.
    fn foresee(
        &self,
        care: Care,
        cost: &mut Cost,
    ) -> Result<Option<(Vec<Stored>, Foreseen)>, Raised> {
        let assumed = self.assumed(care);
        let thorough = care == Care::Thorough;
        let scope = Scope { thorough, assumed: &assumed, events: None };
        let Some((stored, mut findings)) = self.look(scope, cost)? else { return Ok(None) };
        if !findings.mistaken.is_empty() {
            findings.mistaken.iter().for_each(|target| expected::note_mistake(*target));
            return Ok(None);
        }
        let suspects: Vec<i32> = findings.events().into_iter().collect();
        // What a row refers to does not count if a later row of its event replaces it.
        let is_clear = |(number, part): (usize, &Part)| {
            part.knows_keys || (part.is_judged_alone() && !findings.has_orphans_of(number))
        };
        if !suspects.is_empty() && !self.batch.parts.iter().enumerate().all(is_clear) {
            return Ok(None);
        }
        let first_mover = findings.first_mover;
        if first_mover.is_none() && !suspects.is_empty() && !failpoint::is_mutant("stale_look") {
            let scope = Scope { events: Some(&suspects), ..scope };
            match self.look(scope, cost)? {
                Some((_, fresh)) => findings = fresh,
                None => return Ok(None),
            }
        }
        if let Some(event) = findings.first_mover {
            return Ok(Some((stored, Foreseen::Moves(event))));
        }
        if findings.is_unclear {
            return Ok(None);
        }
        Ok(Some((stored, Foreseen::Rejected(findings.judge(self.batch)))))
    }

    /// Nothing: the look itself raised what may be an event's fault.
    fn look(
        &self,
        scope: Scope,
        cost: &mut Cost,
    ) -> Result<Option<(Vec<Stored>, Findings)>, Raised> {
        let started = Instant::now();
        cost.subtransactions += 1;
        let looked = attempt(|attempt| {
            by_index(|| look(attempt, self.batch, self.run, self.upserts, scope))
        });
        cost.look += started.elapsed().as_secs_f64();
        failpoint::hit("merge.after_look");
        match looked {
            Ok(found) => Ok(Some(found)),
            Err(raised) if may_be_an_events(&raised) => Ok(None),
            Err(raised) => Err(raised),
        }
    }

    /// Writes all parts. Targets of one owner share a query level, so that foreign keys among them are
    /// checked when all of them are written; after-triggers run as the owner of their own table.
    fn write(
        &self,
        attempt: &Attempt,
        care: Care,
        stored: &[Stored],
        rejected: &[Rejection],
    ) -> Result<Vec<Tally>, Raised> {
        let mut stored = Cow::Borrowed(stored);
        if !rejected.is_empty() {
            stored = Cow::Owned(self.remove(attempt, &stored, rejected)?);
        }
        let parts: Vec<_> = self.batch.parts.iter().zip(stored.iter()).collect();
        if parts.iter().any(|(part, stored)| conflicts(part, stored)) {
            return Err(stale());
        }
        let mut tallies = Vec::with_capacity(parts.len());
        let others_wrote = Cell::new(false);
        let owner = |part: &Part| part.target.owner();
        for group in parts.chunk_by(|(one, _), (next, _)| owner(one) == owner(next)) {
            let Some((first, _)) = group.first() else { continue };
            as_table_owner(attempt, owner(first), || {
                query_level(attempt, || {
                    let mut written = Vec::new();
                    for (part, stored) in group {
                        let (batch, run) = (self.batch, self.run);
                        let assumed = care.assumed(part);
                        let writer = Writer {
                            batch,
                            run,
                            part,
                            assumed,
                            stored,
                            written: &written,
                            others_wrote: &others_wrote,
                        };
                        let tally = writer.write()?;
                        if self.batch.deletes_nothing() && tally.unchanged == 0 {
                            written.push(part.target.relation());
                        }
                        tallies.push(tally);
                    }
                    Ok(())
                })
            })?;
        }
        Ok(tallies)
    }

    /// Removes the rows of the rejected events, and says what is stored of the others.
    fn remove(
        &self,
        attempt: &Attempt,
        stored: &[Stored],
        rejected: &[Rejection],
    ) -> Result<Vec<Stored>, Raised> {
        let events: BTreeSet<i32> = rejected.iter().map(|rejection| rejection.event).collect();
        let mut left = stored.to_vec();
        for (part, stored) in self.batch.parts.iter().zip(&mut left) {
            stored.remove(&events, part.remove(self.batch.id, &events)?);
        }
        // Where a row was replaced, what replaced it may be gone.
        if left.iter().all(|stored| stored.replaced.is_empty()) {
            return Ok(left);
        }
        let upserts: Vec<_> = left.iter().map(|stored| stored.upserts).collect();
        look_at_stored(attempt, self.batch, self.run, &upserts)
    }
}

/// Whether an error is about the key of a part.
fn is_of_key(raised: &Raised, part: &Part) -> bool {
    raised.constraint.is_some()
        && (raised.constraint == part.target.key_constraint || part.target.partitioned)
}

fn may_be_an_events(raised: &Raised) -> bool {
    fault_of(&raised.sqlstate) == Fault::Event
}

/// Whether a row that was stored is in the way of one that is left.
fn conflicts(part: &Part, stored: &Stored) -> bool {
    match part.target.policy {
        Policy::Insert => !stored.stored.places.is_empty(),
        Policy::Identical => !stored.differing.places.is_empty(),
        _ => false,
    }
}
