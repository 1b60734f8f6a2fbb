//! The looks at a run: what is stored of its rows, and what they would violate.

use std::collections::{BTreeSet, HashMap};

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::ItemPointerData;
use pgrx::prelude::*;

use super::batch::{Batch, Part, batch_argument};
use super::cut::Run;
use super::expected::Expected;
use super::judge::{Duplicate, Finding, Findings, Orphan};
use super::stored::{Staged, Stored};
use crate::attempt::{Attempt, Raised};
use crate::failpoint;
use crate::identity::as_table_owner;
use crate::query::query;
use crate::size::Size;
use crate::statement::look::{Look, Referring, Violation, Which};
use crate::statement::shape::Shape;
use crate::target::{ForeignKey, Policy};

/// How a run is looked at.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Whether to look also at what writing would raise anyhow: values of other unique indexes, and
    /// parents that the batch does not give.
    pub thorough: bool,
    /// For each part, what is taken to be stored of its rows.
    pub assumed: &'a [Expected],
    /// The events whose rows are looked at; none for all.
    pub events: Option<&'a [i32]>,
}

/// Looks at all parts of a run, which have so many rows that don't delete.
pub fn look(
    attempt: &Attempt,
    batch: &Batch,
    run: Run,
    upserts: &[i64],
    scope: Scope,
) -> Result<(Vec<Stored>, Findings), Raised> {
    let mut stored = Vec::with_capacity(batch.parts.len());
    let mut findings = Findings::default();
    let mut has_orphans = false;
    let lookers = lookers(batch, run, scope);
    for (looker, upserts) in lookers.iter().zip(upserts) {
        let found = as_table_owner(attempt, looker.part.target.owner(), || {
            if looker.assumed() == Expected::Same {
                let has_others = looker.has_others()? && !failpoint::is_mutant("unseen_changes");
                findings.mistaken.extend(has_others.then_some(looker.part.target.id));
                return Ok(Stored { upserts: *upserts, ..Stored::default() });
            }
            let found = looker.violations(*upserts, &mut findings)?;
            if scope.thorough {
                looker.duplicates(&mut findings)?;
            }
            has_orphans |= looker.has_orphans()?;
            Ok::<_, Raised>(found)
        })?;
        stored.push(found);
    }
    if has_orphans || !findings.is_empty() {
        look_at_orphans(attempt, &lookers, &mut findings)?;
    }
    Ok((stored, findings))
}

fn lookers<'a>(batch: &'a Batch, run: Run, scope: Scope<'a>) -> Vec<Looker<'a>> {
    let looker = |(number, part)| Looker { batch, run, part, number, scope };
    batch.parts.iter().enumerate().map(looker).collect()
}

/// `$1` to `$3` of the statements for a run.
pub fn run_arguments<'a>(batch: &Batch, run: Run) -> [DatumWithOid<'a>; 3] {
    [batch_argument(batch.id), run.first.into(), run.last.into()]
}

/// So often the children of events with findings are asked for, and then the children of these.
const MOST_GENERATIONS: u32 = 8;

/// Finds the rows whose parents are missing, or may be if events with findings are rejected.
fn look_at_orphans(
    attempt: &Attempt,
    lookers: &[Looker],
    findings: &mut Findings,
) -> Result<(), Raised> {
    for looker in lookers {
        let owner = looker.part.target.owner();
        as_table_owner(attempt, owner, || looker.orphans(findings))?;
    }
    let mut known = findings.events();
    let mut suspects = known.clone();
    for generation in 1.. {
        if suspects.is_empty() {
            break;
        }
        let events: Vec<i32> = suspects.into_iter().collect();
        // Children of children without end: from here on all that refer to what the run gives.
        let parents = (generation < MOST_GENERATIONS).then_some(events.as_slice());
        for looker in lookers {
            let owner = looker.part.target.owner();
            as_table_owner(attempt, owner, || looker.children(parents, findings))?;
        }
        let all = findings.events();
        suspects = all.difference(&known).copied().collect();
        known = all;
        if parents.is_none() {
            break;
        }
    }
    Ok(())
}

/// Looks at what is stored alone.
pub fn look_at_stored(
    attempt: &Attempt,
    batch: &Batch,
    run: Run,
    upserts: &[i64],
) -> Result<Vec<Stored>, Raised> {
    let scope = Scope { thorough: false, assumed: &[], events: None };
    let lookers = lookers(batch, run, scope);
    let stored_of = |(looker, upserts): (&Looker, &i64)| {
        as_table_owner(attempt, looker.part.target.owner(), || {
            let shape = looker.part.shape();
            Ok(looker.read(&looker.look(&shape), *upserts, &[])?.0)
        })
    };
    lookers.iter().zip(upserts).map(stored_of).collect()
}

struct Looker<'a> {
    batch: &'a Batch,
    run: Run,
    part: &'a Part,
    /// The part's place in the batch.
    number: usize,
    scope: Scope<'a>,
}

/// The rows that violate something: event, row, and the violation's place among the kinds, from 1.
type Violating = Vec<(i32, i32, i32)>;

impl Looker<'_> {
    /// The look that the scope asks for.
    fn look<'a>(&'a self, shape: &'a Shape<'a>) -> Look<'a> {
        let look = Look::new(self.part.staging_of(self.run), shape, self.part.which());
        if self.scope.events.is_some() {
            look.of_events()
        } else if self.assumed() == Expected::Anything {
            look
        } else {
            look.without_target()
        }
    }

    /// What is taken to be stored of the rows.
    fn assumed(&self) -> Expected {
        match self.scope.events {
            None => self.scope.assumed.get(self.number).copied().unwrap_or_default(),
            Some(_) => Expected::Anything,
        }
    }

    /// Whether a row is not stored just so.
    fn has_others(&self) -> Result<bool, Raised> {
        let shape = self.part.shape();
        Spi::connect_mut(|client| {
            let sql = self.look(&shape).has_others();
            let rows = query(client, &sql, self.part.size, &self.arguments())?;
            Ok(rows.first()?.get::<bool>(1)?.unwrap_or(true))
        })
    }

    fn close_look<'a>(&'a self, shape: &'a Shape<'a>) -> Look<'a> {
        self.look(shape).closely()
    }

    /// `$1` to `$4` of the statements that look.
    fn arguments(&self) -> Vec<DatumWithOid<'_>> {
        let events = self.scope.events.unwrap_or_default();
        let mut arguments = Vec::from(run_arguments(self.batch, self.run));
        arguments.push(events.to_vec().into());
        arguments
    }

    fn violations(&self, upserts: i64, findings: &mut Findings) -> Result<Stored, Raised> {
        let shape = self.part.shape();
        let look = self.look(&shape);
        let kinds = look.kinds(self.scope.thorough);
        let (stored, mover, violating) = self.read(&look, upserts, &kinds)?;
        self.note_unclear(!violating.is_empty(), findings);
        findings.first_mover = [findings.first_mover, mover].into_iter().flatten().min();
        let mut details = self.differing_columns(&look, &kinds, &violating)?;
        for (event, row, number) in violating {
            let kind = usize::try_from(number - 1).ok().and_then(|number| kinds.get(number));
            let Some(violation) = kind else { continue };
            findings.violations.push(Finding {
                event,
                row,
                part: self.number,
                violation: violation.clone(),
                detail: details.remove(&(event, row)).unwrap_or_default(),
            });
        }
        Ok(stored)
    }

    /// Where repeated keys are ignored, it depends on the rows before whether a finding counts.
    fn note_unclear(&self, found: bool, findings: &mut Findings) {
        let ignores = self.part.target.policy == Policy::Ignore && self.part.repeats_key;
        findings.is_unclear |= ignores && found;
    }

    fn read(
        &self,
        look: &Look,
        upserts: i64,
        kinds: &[Violation],
    ) -> Result<(Stored, Option<i32>, Violating), Raised> {
        Spi::connect_mut(|client| {
            let sql = look.violations(kinds);
            let rows = query(client, &sql, self.part.size, &self.arguments())?;
            let row = rows.first()?;
            let places = |column| {
                Ok::<_, Raised>(row.get::<Vec<ItemPointerData>>(column)?.unwrap_or_default())
            };
            let numbers =
                |column| Ok::<_, Raised>(row.get::<Vec<i32>>(column)?.unwrap_or_default());
            let stored = Stored {
                upserts,
                replaced: places(1)?,
                stored: Staged { places: places(2)?, events: numbers(3)? },
                differing: Staged { places: places(4)?, events: numbers(5)? },
            };
            let violating = numbers(7)?.into_iter().zip(numbers(8)?).zip(numbers(9)?);
            let violating = violating.map(|((event, row), number)| (event, row, number)).collect();
            Ok((stored, row.get::<i32>(6)?, violating))
        })
    }

    /// By event and row, the columns in which the rows differ that must not.
    fn differing_columns(
        &self,
        look: &Look,
        kinds: &[Violation],
        violating: &Violating,
    ) -> Result<HashMap<(i32, i32), String>, Raised> {
        let different = kinds.iter().position(|kind| *kind == Violation::Different);
        let is_different = |number: i32| usize::try_from(number - 1).ok() == different;
        let events: Vec<i32> = violating
            .iter()
            .filter(|(_, _, number)| different.is_some() && is_different(*number))
            .map(|(event, _, _)| *event)
            .collect();
        if events.is_empty() {
            return Ok(HashMap::new());
        }
        let names =
            self.triples::<String>(&look.differing_columns(), self.part.size, Some(&events))?;
        Ok(names.into_iter().map(|(event, row, names)| ((event, row), names)).collect())
    }

    fn duplicates(&self, findings: &mut Findings) -> Result<(), Raised> {
        let shape = self.part.shape();
        let look = self.close_look(&shape);
        for unique in &self.part.target.uniques {
            let duplicates = self.triples::<i64>(&look.duplicates(unique), self.part.size, None)?;
            self.note_unclear(!duplicates.is_empty(), findings);
            for (event, row, value) in duplicates {
                findings.duplicates.push(Duplicate {
                    event,
                    row,
                    part: self.number,
                    constraint: unique.name.clone(),
                    value,
                });
            }
        }
        Ok(())
    }

    /// The foreign keys of the part that can be looked at, with their places in the batch.
    fn foreign_keys(&self) -> impl Iterator<Item = (usize, &ForeignKey)> {
        self.batch.foreign_keys.iter().enumerate().filter(|(_, foreign_key)| {
            foreign_key.foreseeable && foreign_key.child() == self.part.target.relation()
        })
    }

    /// The part that gives parents in this batch, if it does.
    fn staged_parents(&self, foreign_key: &ForeignKey) -> Option<&Part> {
        let parent = self.batch.part_of(foreign_key.parent())?;
        (parent.rows > parent.deletes).then_some(parent)
    }

    /// The size of statements that compare the part's rows with what they refer to.
    fn size_with(&self, foreign_key: &ForeignKey) -> Size {
        self.part.size.and(self.batch.parent_size(foreign_key))
    }

    /// Whether a row refers to what neither is stored nor given in time.
    fn has_orphans(&self) -> Result<bool, Raised> {
        let shape = self.part.shape();
        let look = self.look(&shape);
        for (_, foreign_key) in self.foreign_keys() {
            let parent = self.staged_parents(foreign_key);
            // What a later row replaces is never written, and so shows here alone.
            if parent.is_none() && !self.scope.thorough && self.part.which() == Which::All {
                continue;
            }
            let staging = parent.map(|parent| parent.staging_of(self.run));
            if self.count(&look.count_orphans(foreign_key, staging), self.size_with(foreign_key))?
                > 0
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn orphans(&self, findings: &mut Findings) -> Result<(), Raised> {
        let shape = self.part.shape();
        let look = self.close_look(&shape);
        for (number, foreign_key) in self.foreign_keys() {
            let parent = self.staged_parents(foreign_key);
            let staging = parent.map(|parent| parent.staging_of(self.run));
            let sql = look.orphans(foreign_key, staging);
            let found = self.triples::<i32>(&sql, self.size_with(foreign_key), None)?;
            self.note_unclear(!found.is_empty(), findings);
            for (event, row, _) in found {
                findings.add_orphan(Orphan {
                    event,
                    row,
                    part: self.number,
                    foreign_key: number,
                    parents: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// The rows that refer to what one of these events gives, or any, and to nothing stored, with all
    /// events that give it.
    fn children(&self, parents: Option<&[i32]>, findings: &mut Findings) -> Result<(), Raised> {
        let shape = self.part.shape();
        let look = self.close_look(&shape);
        for (number, foreign_key) in self.foreign_keys() {
            let Some(parent) = self.staged_parents(foreign_key) else { continue };
            let staging = parent.staging_of(self.run);
            let size = self.size_with(foreign_key);
            let referring = if parents.is_some() { Referring::ToEvents } else { Referring::All };
            let sql = look.staged_parents(foreign_key, staging, referring);
            let children: BTreeSet<_> = self
                .triples::<i32>(&sql, size, parents)?
                .into_iter()
                .filter(|(event, _, parent)| parent <= event)
                .map(|(event, row, _)| (event, row))
                .collect();
            if children.is_empty() {
                continue;
            }
            self.note_unclear(true, findings);
            let events: Vec<i32> = children.iter().map(|(event, _)| *event).collect();
            let sql = look.staged_parents(foreign_key, staging, Referring::OfEvents);
            let all = self.triples::<i32>(&sql, size, Some(&events))?;
            for givers in all.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
                let Some((event, row, _)) = givers.first() else { continue };
                if children.contains(&(*event, *row)) {
                    findings.add_orphan(Orphan {
                        event: *event,
                        row: *row,
                        part: self.number,
                        foreign_key: number,
                        parents: givers.iter().map(|(_, _, parent)| *parent).collect(),
                    });
                }
            }
        }
        Ok(())
    }

    fn count(&self, sql: &str, size: Size) -> Result<i64, Raised> {
        Spi::connect_mut(|client| {
            let rows = query(client, sql, size, &self.arguments())?;
            Ok(rows.first()?.get::<i64>(1)?.unwrap_or(0))
        })
    }

    /// Event, row and a number, of what refers to `events` as `$5`.
    fn triples<T: FromDatum + IntoDatum + Default>(
        &self,
        sql: &str,
        size: Size,
        events: Option<&[i32]>,
    ) -> Result<Vec<(i32, i32, T)>, Raised> {
        let mut arguments = self.arguments();
        arguments.extend(events.map(|events| DatumWithOid::from(events.to_vec())));
        Spi::connect_mut(|client| {
            let mut triples = Vec::new();
            for tuple in query(client, sql, size, &arguments)?.iter() {
                let number =
                    |column| Ok::<_, Raised>(tuple.get::<i32>(column)?.unwrap_or_default());
                triples.push((number(1)?, number(2)?, tuple.get::<T>(3)?.unwrap_or_default()));
            }
            Ok(triples)
        })
    }
}
