//! A run merged as one set: look, reject what would violate something, write once.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Instant;

use pgrx::pg_sys::{self, Datum, ItemPointerData, Oid};
use pgrx::prelude::*;

use super::answer::{Rejection, Tally};
use super::batch::{Batch, Part};
use super::cut::Run;
use super::expected::{self, Expected};
use super::judge::Findings;
use super::look::{Scope, look, look_at_stored, run_arguments};
use super::stored::Stored;
use crate::attempt::{Attempt, Raised, attempt};
use crate::failpoint;
use crate::identity::as_table_owner;
use crate::left_out::{self, Checked, leaving_out};
use crate::plan::{Plan, alone, by_index, by_key, query_level};
use crate::policy::{Fault, fault_of};
use crate::query::query;
use crate::size::Size;
use crate::statement::Staging;
use crate::statement::set::Taken;
use crate::statement::shape::Shape;
use crate::target::{ForeignKey, Policy};

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

/// Another session has written what was looked at; never seen outside.
const STALE: &str = "40001";

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

struct Writer<'a> {
    batch: &'a Batch,
    run: Run,
    part: &'a Part,
    /// What is taken to be stored of its rows.
    assumed: Expected,
    stored: &'a Stored,
    /// The targets of which all rows of the run have just been written.
    written: &'a [Oid],
    /// Whether code that a statement of the run has called has written something, too. What has been
    /// checked may not hold any more.
    others_wrote: &'a Cell<bool>,
}

impl Writer<'_> {
    fn write(&self) -> Result<Tally, Raised> {
        let mut tally = Tally::of(&self.part.target);
        let deletes_last = failpoint::is_mutant("deletes_last");
        if self.deletes() && !deletes_last {
            tally.deleted = self.delete()?;
        }
        if self.stored.upserts > 0 && self.assumed != Expected::Same {
            tally.updated = self.update()?;
            tally.inserted = self.insert()?;
        }
        if self.deletes() && deletes_last {
            tally.deleted = self.delete()?;
        }
        let upserts = self.stored.upserts as u64;
        tally.unchanged = upserts.saturating_sub(tally.inserted + tally.updated);
        Ok(tally)
    }

    /// Whether rows may be deleted: a target without key has none in any run.
    fn deletes(&self) -> bool {
        self.part.deletes > 0 && !self.part.target.key.is_empty()
    }

    fn delete(&self) -> Result<u64, Raised> {
        let sql = self.part.staging_of(self.run).delete_given();
        by_key(|| self.run(&sql, &[]))
    }

    /// Whether few of the rows are expected to be written: triggers look at these alone.
    fn keeps_most_stored(&self) -> bool {
        self.part.target.policy == Policy::Ignore && expected::is_rare(self.part.target.id)
    }

    /// The foreign keys that are checked once for all rows that are written.
    fn set_based(&self) -> impl Iterator<Item = &ForeignKey> {
        let (target, shape) = (&self.part.target, self.part.shape());
        let place =
            |relation| self.batch.parts.iter().position(|part| part.target.relation() == relation);
        let is_written_before = move |parent| place(parent) <= place(target.relation());
        let is_given = move |name: &String| {
            target
                .column(name)
                .is_some_and(|column| shape.always_names(target, column) && !column.is_set_once)
        };
        self.batch.foreign_keys.iter().filter(move |foreign_key| {
            foreign_key.set_based
                && foreign_key.child() == target.relation()
                && foreign_key.child_columns.iter().all(&is_given)
                && is_written_before(foreign_key.parent())
        })
    }

    /// Locks the parents of all rows that a statement is about to write, and answers which foreign keys
    /// are so checked. `places` is its `$4`.
    fn check_references(
        &self,
        taken: Taken,
        places: &[ItemPointerData],
    ) -> Result<Vec<Oid>, Raised> {
        let mut checked = Vec::new();
        if !left_out::is_possible() || self.keeps_most_stored() || self.others_wrote.get() {
            return Ok(checked);
        }
        let staging = self.part.staging_of(self.run);
        for foreign_key in self.set_based() {
            let sql = staging.misses_parents(foreign_key, taken, self.just_written(foreign_key));
            let size = self.part.size.and(self.batch.parent_size(foreign_key));
            if !failpoint::is_mutant("unchecked_references")
                && self.answers_true(&sql, size, places)?
            {
                return Err(stale());
            }
            checked.push(foreign_key.constraint());
        }
        if self.others_wrote.get() {
            checked.clear();
        }
        failpoint::hit("merge.after_check");
        Ok(checked)
    }

    /// The rows that a foreign key may refer to, if all of them have just been written, and nobody can
    /// have deleted one.
    fn just_written(&self, foreign_key: &ForeignKey) -> Option<Staging<'_>> {
        let parent = foreign_key.parent();
        if !foreign_key.refers_to_key || !self.written.contains(&parent) {
            return None;
        }
        self.batch.part_of(parent).map(|part| part.staging_of(self.run))
    }

    fn update(&self) -> Result<u64, Raised> {
        let policy = self.part.target.policy;
        let differing = &self.stored.differing.places;
        let expected = match self.assumed {
            Expected::Changed => self.stored.upserts,
            _ => differing.len() as i64,
        };
        if !matches!(policy, Policy::Update | Policy::Newest) || expected == 0 {
            return Ok(0);
        }
        let shape = self.part.shape();
        let staging = self.part.staging_of(self.run);
        let taken = if expected == self.stored.upserts { Taken::All } else { Taken::These };
        let is_locked = self.locks_before_update();
        let size = self.part.size;
        if is_locked
            && self.answers_true(&staging.lock_differing(&shape, taken), size, differing)?
        {
            return Err(stale());
        }
        let checked = if is_locked { self.check_references(taken, differing)? } else { Vec::new() };
        let sql = staging.update_differing(&shape, taken);
        let updated = by_key(|| self.run_without(&sql, differing, checked))?;
        if updated != expected as u64 { Err(stale()) } else { Ok(updated) }
    }

    /// Whether the rows that are to be updated are locked before they are: to see that no other session
    /// has made one of them move a value that another unique index looks at, and since who deletes
    /// children before their parents waits for nobody who has locked the parents first.
    fn locks_before_update(&self) -> bool {
        !self.part.target.guard.is_empty()
            || (left_out::is_possible() && self.set_based().next().is_some())
    }

    fn insert(&self) -> Result<u64, Raised> {
        let staging = self.part.staging_of(self.run);
        let policy = self.part.target.policy;
        if policy == Policy::Ignore && self.assumed != Expected::New {
            let checked = self.check_references(Taken::All, &[])?;
            return self.run_without(&staging.insert_ignoring(&self.part.shape()), &[], checked);
        }
        let new_rows = self.stored.new_rows();
        if new_rows == 0 || self.assumed == Expected::Changed {
            return Ok(0);
        }
        let others = self.stored.not_inserted();
        let taken = if others.is_empty() { Taken::All } else { Taken::Others };
        let checked = self.check_references(taken, &others)?;
        let mut inserted = 0;
        for given in self.shapes() {
            let shape = given.as_deref().map_or(Shape::All, Shape::Some);
            let is_mixed = self.part.given.len() > 1;
            let sql = staging.insert(&shape, taken, is_mixed);
            inserted += self.run_without(&sql, &others, checked.clone())?;
        }
        if inserted != new_rows as u64 {
            return Err(stale());
        }
        Ok(inserted)
    }

    /// The sets of columns that rows name.
    fn shapes(&self) -> Vec<Option<Vec<i16>>> {
        if self.part.given.is_empty() { vec![None] } else { self.part.given.clone() }
    }

    /// Runs a statement that writes; `places` is its `$4`.
    fn run(&self, sql: &str, places: &[ItemPointerData]) -> Result<u64, Raised> {
        self.run_without(sql, places, Vec::new())
    }

    /// [`run`](Self::run), without what has been checked.
    fn run_without(
        &self,
        sql: &str,
        places: &[ItemPointerData],
        constraints: Vec<Oid>,
    ) -> Result<u64, Raised> {
        Spi::connect_mut(|_| {
            let types = [pg_sys::XID8OID, pg_sys::INT4OID, pg_sys::INT4OID, pg_sys::TIDARRAYOID];
            let plan = Plan::kept(sql, &types, self.part.size)?;
            let places = places.to_vec().into_datum();
            let arguments = [
                Datum::from(self.batch.id),
                Datum::from(self.run.first),
                Datum::from(self.run.last),
                places.unwrap_or(Datum::null()),
            ];
            let relies = !constraints.is_empty();
            let relation = self.part.target.relation();
            let checked = Checked { relation, constraints, changes: self.batch.changes };
            let (rows, is_alone) =
                alone(|| leaving_out(&plan, checked, || plan.write(&arguments)))?;
            if is_alone {
                return Ok(rows);
            }
            self.others_wrote.set(true);
            if relies { Err(stale()) } else { Ok(rows) }
        })
    }

    fn answers_true(
        &self,
        sql: &str,
        size: Size,
        places: &[ItemPointerData],
    ) -> Result<bool, Raised> {
        Spi::connect_mut(|client| {
            let mut arguments = Vec::from(run_arguments(self.batch, self.run));
            arguments.push(places.to_vec().into());
            let (answer, is_alone) = alone(|| {
                by_index(|| {
                    let rows = query(client, sql, size, &arguments)?;
                    Ok(rows.first()?.get::<bool>(1)?.unwrap_or(false))
                })
            })?;
            self.others_wrote.set(self.others_wrote.get() || !is_alone);
            Ok(answer)
        })
    }
}

fn stale() -> Raised {
    Raised::new(STALE, "another session has written what was looked at")
}
