//! Writing the rows of one target in a run: the statements in their order, and the foreign keys that are
//! checked once for all rows.

use std::cell::Cell;

use pgrx::pg_sys::{self, Datum, ItemPointerData, Oid};
use pgrx::prelude::*;

use super::answer::Tally;
use super::batch::{Batch, Part};
use super::cut::Run;
use super::expected::{self, Expected};
use super::look::run_arguments;
use super::stored::Stored;
use crate::attempt::Raised;
use crate::failpoint;
use crate::left_out::{self, Checked, leaving_out};
use crate::plan::{Plan, alone, by_index, by_key};
use crate::query::query;
use crate::size::Size;
use crate::statement::Staging;
use crate::statement::set::Taken;
use crate::statement::shape::Shape;
use crate::target::{ForeignKey, Policy};

/// Another session has written what was looked at; never seen outside.
pub const STALE: &str = "40001";

/// The rows of one target in a run, about to be written.
pub struct Writer<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// The run.
    pub run: Run,
    /// The target, and what of it is in the batch.
    pub part: &'a Part,
    /// What is taken to be stored of its rows.
    pub assumed: Expected,
    /// What is stored of its rows.
    pub stored: &'a Stored,
    /// The targets of which all rows of the run have just been written.
    pub written: &'a [Oid],
    /// Whether code that a statement of the run has called has written something, too. What has been
    /// checked may not hold any more.
    pub others_wrote: &'a Cell<bool>,
}

impl Writer<'_> {
    /// Deletes, updates, inserts. SQLSTATE [`STALE`] if something else is stored than was looked at or
    /// assumed.
    pub fn write(&self) -> Result<Tally, Raised> {
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
        if updated != expected as u64 && !failpoint::is_mutant("uncounted_updates") {
            return Err(stale());
        }
        Ok(updated)
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
            let repeats = self.part.repeats_key || !self.part.knows_keys;
            let sql = staging.insert_ignoring(&self.part.shape(), repeats);
            return self.run_without(&sql, &[], checked);
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

/// The error that says so.
pub fn stale() -> Raised {
    Raised::new(STALE, "another session has written what was looked at")
}
