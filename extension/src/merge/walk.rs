//! A batch walked event by event, each in a subtransaction of its own.

use std::collections::HashMap;
use std::time::Instant;

use pgrx::pg_sys::{self, Datum, ItemPointerData};
use pgrx::prelude::*;

use super::answer::{Answer, Rejection, Seconds, Tally};
use super::batch::{Batch, Part, batch_argument};
use crate::attempt::{Attempt, Raised, attempt};
use crate::failpoint;
use crate::identity::as_table_owner;
use crate::plan::{Plan, query_level};
use crate::policy::{Fault, fault_of};
use crate::statement::Named;
use crate::target::Policy;

/// A staged row: where it stands, and what it asks for.
struct StagedRow {
    event: i32,
    row: i32,
    part: usize,
    deletes: bool,
    given: Option<Vec<i16>>,
    place: ItemPointerData,
}

/// What became of a row.
enum RowOutcome {
    Inserted,
    Updated,
    Unchanged,
    Deleted(u64),
}

/// Merges the batch event by event.
pub fn merge(batch: &Batch) -> Result<Answer, Raised> {
    let started = Instant::now();
    let rows = attempt(|_| staged_rows(batch))?;
    let look = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let mut walk = Walk {
        batch,
        statements: HashMap::new(),
        tallies: batch.parts.iter().map(|part| Tally::of(&part.target)).collect(),
        rejected: Vec::new(),
        subtransactions: 4,
        current: 0,
    };
    for event in rows.chunk_by(|one, next| one.event == next.event) {
        walk.merge_event(event)?;
        failpoint::hit("walk.between_events");
    }
    Ok(Answer {
        path: "walk",
        runs: 0,
        subtransactions: walk.subtransactions,
        targets: walk.tallies,
        rejected: walk.rejected,
        seconds: Seconds {
            count: batch.count_seconds,
            look,
            write: started.elapsed().as_secs_f64(),
        },
    })
}

/// All rows of the batch, in order of (event, row).
fn staged_rows(batch: &Batch) -> Result<Vec<StagedRow>, Raised> {
    let mut rows = Vec::new();
    for (number, part) in batch.parts.iter().enumerate() {
        Spi::connect_mut(|client| -> Result<(), Raised> {
            let sql = part.staging().row_places();
            for tuple in client.update(sql.as_str(), None, &[batch_argument(batch.id)])? {
                let unplaced = || Raised::new("XX000", "a staged row without a place");
                rows.push(StagedRow {
                    event: tuple.get::<i32>(1)?.ok_or_else(unplaced)?,
                    row: tuple.get::<i32>(2)?.ok_or_else(unplaced)?,
                    part: number,
                    deletes: tuple.get::<bool>(3)?.unwrap_or(false),
                    given: tuple.get::<Vec<i16>>(4)?,
                    place: tuple.get::<ItemPointerData>(5)?.ok_or_else(unplaced)?,
                });
            }
            Ok(())
        })?;
    }
    rows.sort_by_key(|row| (row.event, row.row));
    Ok(rows)
}

/// The prepared statements for rows that ask for the same thing.
struct RowStatements {
    differing_columns: Option<Plan>,
    update: Option<Plan>,
    insert: Option<Plan>,
    delete: Option<Plan>,
}

struct Walk<'a> {
    batch: &'a Batch,
    statements: HashMap<(usize, bool, Option<Vec<i16>>), RowStatements>,
    tallies: Vec<Tally>,
    rejected: Vec<Rejection>,
    subtransactions: u32,
    /// The part whose row was applied last: what an error is about that names no table.
    current: usize,
}

impl Walk<'_> {
    /// Applies one event, or rejects it. Before an event is rejected for a row or a parent that
    /// another session may just have written, it is tried once more with fresh snapshots.
    fn merge_event(&mut self, rows: &[StagedRow]) -> Result<(), Raised> {
        let Some(first) = rows.first() else { return Ok(()) };
        let mut outcome = self.try_event(rows);
        if outcome.as_ref().is_err_and(|raised| raised.sqlstate.starts_with("23")) {
            outcome = self.try_event(rows);
        }
        match outcome {
            Ok(outcomes) => {
                for (row, outcome) in rows.iter().zip(outcomes) {
                    self.count(row.part, outcome);
                }
                Ok(())
            }
            Err(raised) if fault_of(&raised.sqlstate) == Fault::Event => {
                let mut rejection = Rejection::new(first.event, &raised);
                let current = &self.batch.parts[self.current].target;
                rejection.target.get_or_insert_with(|| current.display.clone());
                self.rejected.push(rejection);
                Ok(())
            }
            Err(raised) => Err(raised),
        }
    }

    fn try_event(&mut self, rows: &[StagedRow]) -> Result<Vec<RowOutcome>, Raised> {
        self.subtransactions += 1;
        attempt(|attempt| {
            Spi::connect_mut(|_| {
                let mut outcomes = Vec::with_capacity(rows.len());
                let owner_of = |row: &StagedRow| self.batch.parts[row.part].target.owner();
                for group in rows.chunk_by(|one, next| owner_of(one) == owner_of(next)) {
                    self.apply_group(attempt, group, &mut outcomes)?;
                }
                Ok(outcomes)
            })
        })
    }

    /// Applies consecutive rows whose targets have one owner; their foreign keys are checked at
    /// the end.
    fn apply_group(
        &mut self,
        attempt: &Attempt,
        rows: &[StagedRow],
        outcomes: &mut Vec<RowOutcome>,
    ) -> Result<(), Raised> {
        let Some(first) = rows.first() else { return Ok(()) };
        as_table_owner(attempt, self.batch.parts[first.part].target.owner(), || {
            query_level(attempt, || {
                for row in rows {
                    outcomes.push(self.apply_row(row)?);
                }
                Ok(())
            })
        })
    }

    fn apply_row(&mut self, row: &StagedRow) -> Result<RowOutcome, Raised> {
        self.current = row.part;
        let part = &self.batch.parts[row.part];
        let key = (row.part, row.deletes, row.given.clone());
        if !self.statements.contains_key(&key) {
            self.statements.insert(key.clone(), RowStatements::prepare(part, row)?);
        }
        let Some(statements) = self.statements.get(&key) else {
            return Err(Raised::new("XX000", "a statement was prepared and is gone"));
        };
        let arguments = [Datum::from(std::ptr::from_ref(&row.place))];
        statements.apply(part, &arguments)
    }

    fn count(&mut self, part: usize, outcome: RowOutcome) {
        let tally = &mut self.tallies[part];
        match outcome {
            RowOutcome::Inserted => tally.inserted += 1,
            RowOutcome::Updated => tally.updated += 1,
            RowOutcome::Unchanged => tally.unchanged += 1,
            RowOutcome::Deleted(rows) => tally.deleted += rows,
        }
    }
}

impl RowStatements {
    fn prepare(part: &Part, row: &StagedRow) -> Result<Self, Raised> {
        let staging = part.staging();
        let prepare = |sql: String| Plan::prepare(&sql, &[pg_sys::TIDOID]).map(Some);
        let nothing =
            RowStatements { differing_columns: None, update: None, insert: None, delete: None };
        if row.deletes {
            if part.target.policy == Policy::Append {
                return Err(Raised::new(
                    "22023",
                    format!("{} has no key, so nothing can be deleted by key", part.target.display),
                ));
            }
            return Ok(RowStatements { delete: prepare(staging.delete_one())?, ..nothing });
        }
        let named = Named::new(&part.target, row.given.as_deref());
        Ok(RowStatements {
            differing_columns: match part.target.policy {
                Policy::Identical => prepare(staging.differing_columns(&named))?,
                _ => None,
            },
            update: match part.target.policy {
                Policy::Update if named.has_values() => prepare(staging.update_one(&named))?,
                _ => None,
            },
            insert: prepare(staging.insert_one(&named))?,
            delete: None,
        })
    }

    fn apply(&self, part: &Part, arguments: &[Datum]) -> Result<RowOutcome, Raised> {
        if let Some(delete) = &self.delete {
            return Ok(RowOutcome::Deleted(delete.write(arguments)?));
        }
        if let Some(differing_columns) = &self.differing_columns
            && let Some(columns) = differing_columns.first_text(arguments)?
        {
            return Err(not_identical(part, &columns));
        }
        if let Some(update) = &self.update
            && update.write(arguments)? > 0
        {
            return Ok(RowOutcome::Updated);
        }
        let inserted = match &self.insert {
            Some(insert) => insert.write(arguments)?,
            None => 0,
        };
        Ok(if inserted > 0 { RowOutcome::Inserted } else { RowOutcome::Unchanged })
    }
}

fn not_identical(part: &Part, columns: &str) -> Raised {
    let target = &part.target;
    let (schema, table) = target.display.split_once('.').unwrap_or(("", &target.display));
    let message =
        format!("a row of {} with this key is stored, and differs in {columns}", target.display);
    Raised::new("23505", message)
        .about_table(schema, table)
        .about_constraint(target.key_constraint.clone())
}
