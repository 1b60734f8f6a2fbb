//! Events applied one by one, to the letter of what a batch means.
//!
//! A subtransaction takes several events, each with its rows in order and its foreign keys checked at
//! its end. When one raises, the subtransaction is rolled back, the events before it are applied
//! again, and it is rejected. It takes one event after that, then twice as many each time: so neither
//! many good events nor many bad ones need many subtransactions.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use pgrx::pg_sys::{self, Datum};
use pgrx::prelude::*;

use super::answer::{Rejection, Tally};
use super::batch::{Batch, Part};
use super::cut::StagedRow;
use super::judge::{not_identical, null_key, versionless};
use crate::attempt::{Attempt, Raised, attempt};
use crate::failpoint;
use crate::identity::as_table_owner;
use crate::plan::{Plan, query_level, set_constraints_immediate};
use crate::policy::{Fault, fault_of};
use crate::statement::shape::Shape;
use crate::target::{Column, Policy};

/// A subtransaction takes no more events than this.
const MOST_EVENTS: usize = 64;

/// `insufficient_privilege`: the event's fault, but where a grant is missing.
const MISSING_RIGHT: &str = "42501";

/// What became of a row.
enum RowOutcome {
    Inserted,
    Updated,
    Unchanged,
    Deleted(u64),
}

/// The prepared statements for rows that ask for the same thing.
struct RowStatements {
    differing_columns: Option<Rc<Plan>>,
    update: Option<Rc<Plan>>,
    insert: Option<Rc<Plan>>,
    deleted_key: Option<Rc<Plan>>,
    delete: Option<Rc<Plan>>,
}

/// Applies events of a batch one by one.
pub struct Walk<'a> {
    batch: &'a Batch,
    /// An SQLSTATE that is taken for an event's fault, though it is not listed.
    suspected: Option<&'a str>,
    statements: HashMap<(usize, bool, Option<Vec<i16>>), RowStatements>,
    /// The part whose row was applied last: what an error is about that names no table.
    current: usize,
    /// What became of the rows of each part.
    pub tallies: Vec<Tally>,
    /// The rejected events, in order.
    pub rejected: Vec<Rejection>,
    /// How many events were applied or rejected.
    pub events: u32,
    /// How many subtransactions that took.
    pub subtransactions: u32,
}

/// Where some events were left off.
enum Stopped {
    /// All are applied.
    Nowhere,
    /// This one raised, by its own fault.
    At(usize, Raised),
}

impl<'a> Walk<'a> {
    /// Nothing is walked yet.
    pub fn new(batch: &'a Batch, suspected: Option<&'a str>) -> Self {
        Walk {
            batch,
            suspected,
            statements: HashMap::new(),
            current: 0,
            tallies: batch.parts.iter().map(|part| Tally::of(&part.target)).collect(),
            rejected: Vec::new(),
            events: 0,
            subtransactions: 0,
        }
    }

    /// Applies the events whose rows these are, in order of (event, row).
    pub fn merge(&mut self, rows: &[StagedRow]) -> Result<(), Raised> {
        let events: Vec<_> = rows.chunk_by(|one, next| one.event == next.event).collect();
        let mut rest = events.as_slice();
        let mut most = MOST_EVENTS;
        while !rest.is_empty() {
            let (taken, others) = rest.split_at(rest.len().min(most));
            rest = match self.try_events(taken)? {
                Stopped::Nowhere => {
                    most = MOST_EVENTS.min(2 * most);
                    others
                }
                Stopped::At(place, raised) => {
                    self.apply_again(&taken[..place])?;
                    self.reject(taken[place], &raised);
                    most = 1;
                    &rest[place + 1..]
                }
            };
            failpoint::hit("walk.between_events");
        }
        Ok(())
    }

    /// Applies events that have just been applied, and rolled back for the sake of a later one. If
    /// another session makes one of them raise now, they are taken one by one.
    fn apply_again(&mut self, events: &[&[StagedRow]]) -> Result<(), Raised> {
        let mut rest = events;
        while let Stopped::At(place, raised) = self.try_events(rest)? {
            self.apply_again(&rest[..place])?;
            self.reject(rest[place], &raised);
            rest = &rest[place + 1..];
        }
        Ok(())
    }

    fn reject(&mut self, event: &[StagedRow], raised: &Raised) {
        let Some(first) = event.first() else { return };
        self.rejected.push(Rejection::new(first.event, raised));
        self.events += 1;
    }

    /// Applies events in one subtransaction, which is rolled back if one of them raises.
    fn try_events(&mut self, events: &[&[StagedRow]]) -> Result<Stopped, Raised> {
        if events.is_empty() {
            return Ok(Stopped::Nowhere);
        }
        self.subtransactions += 1;
        let mut place = 0;
        let outcome = attempt(|attempt| {
            Spi::connect_mut(|_| {
                let mut outcomes = Vec::new();
                for (number, event) in events.iter().enumerate() {
                    place = number;
                    self.apply_event(attempt, event, &mut outcomes)?;
                }
                Ok(outcomes)
            })
        });
        match outcome {
            Ok(outcomes) => {
                for (part, outcome) in outcomes {
                    self.count(part, outcome);
                }
                self.events += events.len() as u32;
                Ok(Stopped::Nowhere)
            }
            Err(raised) if self.is_events_fault(&raised) => {
                Ok(Stopped::At(place, self.about_current(raised)))
            }
            Err(raised) => Err(match self.batch.missing_grant() {
                Some(grant) if raised.sqlstate == MISSING_RIGHT => raised.with_hint(grant),
                _ => raised,
            }),
        }
    }

    /// An error that names no table is about the one whose row was applied last.
    fn about_current(&self, raised: Raised) -> Raised {
        let current = &self.batch.parts[self.current].target;
        match raised.table {
            Some(_) => raised,
            None => raised.about_table(&current.schema, &current.table),
        }
    }

    fn is_events_fault(&self, raised: &Raised) -> bool {
        let lacks_grant = raised.sqlstate == MISSING_RIGHT && self.batch.missing_grant().is_some();
        (fault_of(&raised.sqlstate) == Fault::Event && !lacks_grant)
            || self.suspected.is_some_and(|suspected| suspected == raised.sqlstate)
    }

    /// Applies consecutive rows whose targets have one owner together; their foreign keys are checked
    /// at the end.
    fn apply_event(
        &mut self,
        attempt: &Attempt,
        rows: &[StagedRow],
        outcomes: &mut Vec<(usize, RowOutcome)>,
    ) -> Result<(), Raised> {
        let owners: Vec<_> = self.batch.parts.iter().map(|part| part.target.owner()).collect();
        let owner_of = |row: &StagedRow| owners[row.part];
        let mut rows: Vec<_> = rows.iter().collect();
        if rows.iter().any(|row| owner_of(row) != owner_of(rows[0])) && self.may_be_sorted(&rows) {
            // So that those of each owner stand together, parents before children.
            rows.sort_by_key(|row| row.part);
        }
        for group in rows.chunk_by(|one, next| owner_of(one) == owner_of(next)) {
            let Some(first) = group.first() else { continue };
            as_table_owner(attempt, owner_of(first), || {
                query_level(attempt, || {
                    for row in group {
                        outcomes.push((row.part, self.apply_row(row)?));
                    }
                    Ok(())
                })?;
                // A trigger that defers constraints does so for its own event alone.
                set_constraints_immediate()
            })?;
        }
        Ok(())
    }

    /// Whether it does not matter which target's rows of an event come first: nothing is deleted, no
    /// key stands twice, and no trigger looks.
    fn may_be_sorted(&self, rows: &[&StagedRow]) -> bool {
        let mut keys = HashSet::new();
        rows.iter().all(|row| {
            let part = &self.batch.parts[row.part];
            !row.deletes
                && part.target.why_walked.is_none()
                && (part.target.key.is_empty() || keys.insert((row.part, row.key)))
        })
    }

    fn apply_row(&mut self, row: &StagedRow) -> Result<RowOutcome, Raised> {
        self.current = row.part;
        let part = &self.batch.parts[row.part];
        if row.deletes && row.has_null_key {
            return Err(null_key(&part.target));
        }
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
        let prepare = |sql: String| Plan::kept(&sql, &[pg_sys::TIDOID], part.size).map(Some);
        let nothing = RowStatements {
            differing_columns: None,
            update: None,
            insert: None,
            deleted_key: None,
            delete: None,
        };
        if row.deletes {
            if part.target.policy == Policy::Append {
                return Err(Raised::new(
                    "22023",
                    format!("{} has no key, so nothing can be deleted by key", part.target.display),
                ));
            }
            let may_be_no_key = part.target.key_columns().any(Column::is_converted);
            return Ok(RowStatements {
                deleted_key: if may_be_no_key { prepare(staging.key_of_one())? } else { None },
                delete: prepare(staging.delete_one())?,
                ..nothing
            });
        }
        let shape = row.given.as_deref().map_or(Shape::All, Shape::Some);
        let target = &part.target;
        let version = target.version.as_deref().and_then(|version| target.column(version));
        if version.is_some_and(|version| !shape.names(target, version)) {
            return Err(versionless(target));
        }
        let has_values = shape.values(target).next().is_some();
        Ok(RowStatements {
            differing_columns: match target.policy {
                Policy::Identical => prepare(staging.differing_columns(&shape))?,
                _ => None,
            },
            update: match target.policy {
                Policy::Update | Policy::Newest if has_values => {
                    prepare(staging.update_one(&shape))?
                }
                _ => None,
            },
            insert: prepare(staging.insert_one(&shape))?,
            ..nothing
        })
    }

    fn apply(&self, part: &Part, arguments: &[Datum]) -> Result<RowOutcome, Raised> {
        if let Some(deleted_key) = &self.deleted_key {
            // A delete that meets no row would not find out that its key is no value of its type.
            deleted_key.first_text(arguments)?;
        }
        if let Some(delete) = &self.delete {
            // What foreign keys do on delete, they do before the event's next row.
            let deleted = if part.target.acted_on {
                delete.write_and_act(arguments)?
            } else {
                delete.write(arguments)?
            };
            return Ok(RowOutcome::Deleted(deleted));
        }
        if let Some(differing_columns) = &self.differing_columns
            && let Some(columns) = differing_columns.first_text(arguments)?
        {
            return Err(not_identical(&part.target, &columns));
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
