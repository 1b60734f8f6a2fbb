//! The looks at a run: what is stored of its rows, and what they would violate.

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;

use super::batch::{Batch, Part, batch_argument};
use super::cut::Run;
use super::judge::{Duplicate, Finding, Findings, Orphan};
use crate::attempt::{Attempt, Raised};
use crate::identity::as_table_owner;
use crate::statement::look::{Look, Violation};
use crate::target::{ForeignKey, Policy};

/// What is stored of the rows that a part has in a run.
#[derive(Debug, Default, Clone, Copy)]
pub struct Stored {
    /// Rows that don't delete.
    pub upserts: i64,
    /// Rows that are to write a row: one per key.
    pub rows: i64,
    /// Rows stored with their keys.
    pub stored: i64,
    /// How many of these are to be updated.
    pub differing: i64,
}

/// The arguments of the statements for a run.
pub fn run_arguments<'a>(batch: &Batch, run: Run) -> [DatumWithOid<'a>; 3] {
    [batch_argument(batch.id), run.first.into(), run.last.into()]
}

/// Looks at all parts of a run; for the values of other unique indexes only if `thorough`.
pub fn look(
    attempt: &Attempt,
    batch: &Batch,
    run: Run,
    thorough: bool,
) -> Result<(Vec<Stored>, Findings), Raised> {
    let mut stored = Vec::with_capacity(batch.parts.len());
    let mut findings = Findings::default();
    for (number, part) in batch.parts.iter().enumerate() {
        let looker = Looker { batch, run, part, number };
        let found = as_table_owner(attempt, part.target.owner(), || {
            let found = looker.violations(thorough, &mut findings)?;
            if thorough {
                looker.duplicates(&mut findings)?;
            }
            looker.orphans(&mut findings)?;
            Ok::<_, Raised>(found)
        })?;
        stored.push(found);
    }
    Ok((stored, findings))
}

/// Looks at what is stored alone.
pub fn look_at_stored(attempt: &Attempt, batch: &Batch, run: Run) -> Result<Vec<Stored>, Raised> {
    let stored_of = |(number, part): (usize, &Part)| {
        let looker = Looker { batch, run, part, number };
        as_table_owner(attempt, part.target.owner(), || {
            let shape = part.shape();
            let look = Look::new(part.staging(), &shape, part.which());
            Ok(looker.read(&look, &[])?.0)
        })
    };
    batch.parts.iter().enumerate().map(stored_of).collect()
}

struct Looker<'a> {
    batch: &'a Batch,
    run: Run,
    part: &'a Part,
    /// The part's place in the batch.
    number: usize,
}

/// The rows that violate something: event, row, and the violation's place among the kinds, from 1.
type Violating = Vec<(i32, i32, i32)>;

impl Looker<'_> {
    fn violations(&self, thorough: bool, findings: &mut Findings) -> Result<Stored, Raised> {
        let shape = self.part.shape();
        let look = Look::new(self.part.staging(), &shape, self.part.which());
        let kinds = look.kinds(thorough);
        let (mut stored, mut mover, mut violating) = self.read(&look, &kinds)?;
        let mut look = look;
        if !violating.is_empty() && !look.reads_target() {
            // Of those, only the ones that are not stored already.
            look = look.closely();
            (stored, mover, violating) = self.read(&look, &kinds)?;
        }
        self.note_unclear(!violating.is_empty(), findings);
        findings.first_mover = [findings.first_mover, mover].into_iter().flatten().min();
        for (event, row, number) in violating {
            let kind = usize::try_from(number - 1).ok().and_then(|number| kinds.get(number));
            let Some(violation) = kind else { continue };
            let detail = match violation {
                Violation::Different => self.differing_columns(&look, event, row)?,
                _ => String::new(),
            };
            findings.violations.push(Finding {
                event,
                row,
                part: self.number,
                violation: violation.clone(),
                detail,
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
        kinds: &[Violation],
    ) -> Result<(Stored, Option<i32>, Violating), Raised> {
        Spi::connect_mut(|client| {
            let sql = look.violations(kinds);
            let row = client.update(sql.as_str(), None, &run_arguments(self.batch, self.run))?;
            let row = row.first();
            let stored = Stored {
                upserts: row.get::<i64>(1)?.unwrap_or(0),
                rows: row.get::<i64>(2)?.unwrap_or(0),
                stored: row.get::<i64>(3)?.unwrap_or(0),
                differing: row.get::<i64>(4)?.unwrap_or(0),
            };
            let events = row.get::<Vec<i32>>(6)?.unwrap_or_default();
            let rows = row.get::<Vec<i32>>(7)?.unwrap_or_default();
            let numbers = row.get::<Vec<i32>>(8)?.unwrap_or_default();
            let violating = events.into_iter().zip(rows).zip(numbers);
            let violating = violating.map(|((event, row), number)| (event, row, number)).collect();
            Ok((stored, row.get::<i32>(5)?, violating))
        })
    }

    fn differing_columns(&self, look: &Look, event: i32, row: i32) -> Result<String, Raised> {
        Spi::connect_mut(|client| {
            let arguments = [batch_argument(self.batch.id), event.into(), row.into()];
            let found = client.update(look.differing_columns().as_str(), None, &arguments)?.first();
            Ok(found.get::<String>(1).unwrap_or_default().unwrap_or_default())
        })
    }

    fn duplicates(&self, findings: &mut Findings) -> Result<(), Raised> {
        let shape = self.part.shape();
        let look = Look::new(self.part.staging(), &shape, self.part.which()).closely();
        for unique in &self.part.target.uniques {
            let duplicates = self.triples::<i64>(&look.duplicates(unique))?;
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

    fn orphans(&self, findings: &mut Findings) -> Result<(), Raised> {
        let of_part = self.batch.foreign_keys.iter().enumerate().filter(|(_, foreign_key)| {
            foreign_key.foreseeable && foreign_key.child() == self.part.target.relation()
        });
        for (number, foreign_key) in of_part {
            let shape = self.part.shape();
            let look = Look::new(self.part.staging(), &shape, self.part.which());
            if self.count(&look.count_orphans(foreign_key))? == 0 {
                continue;
            }
            let look = look.closely();
            let mut orphans: Vec<Orphan> = self
                .triples::<i64>(&look.orphans(foreign_key))?
                .into_iter()
                .map(|(event, row, _)| Orphan {
                    event,
                    row,
                    part: self.number,
                    foreign_key: number,
                    parents: Vec::new(),
                })
                .collect();
            self.find_staged_parents(&look, foreign_key, &mut orphans)?;
            self.note_unclear(!orphans.is_empty(), findings);
            findings.orphans.append(&mut orphans);
        }
        Ok(())
    }

    fn find_staged_parents(
        &self,
        look: &Look,
        foreign_key: &ForeignKey,
        orphans: &mut [Orphan],
    ) -> Result<(), Raised> {
        let Some(parent) = self.batch.part_of(foreign_key.parent()) else { return Ok(()) };
        if orphans.is_empty() || parent.rows == parent.deletes {
            return Ok(());
        }
        let sql = look.staged_parents(foreign_key, parent.staging());
        for (event, row, parent_event) in self.triples::<i32>(&sql)? {
            let orphan = orphans.binary_search_by_key(&(event, row), |one| (one.event, one.row));
            if let Ok(place) = orphan {
                orphans[place].parents.push(parent_event);
            }
        }
        Ok(())
    }

    fn count(&self, sql: &str) -> Result<i64, Raised> {
        Spi::connect_mut(|client| {
            let row = client.update(sql, None, &run_arguments(self.batch, self.run))?.first();
            Ok(row.get::<i64>(1)?.unwrap_or(0))
        })
    }

    /// Event, row and a number.
    fn triples<T: FromDatum + IntoDatum + Default>(
        &self,
        sql: &str,
    ) -> Result<Vec<(i32, i32, T)>, Raised> {
        Spi::connect_mut(|client| {
            let mut triples = Vec::new();
            for tuple in client.update(sql, None, &run_arguments(self.batch, self.run))? {
                let number =
                    |column| Ok::<_, Raised>(tuple.get::<i32>(column)?.unwrap_or_default());
                triples.push((number(1)?, number(2)?, tuple.get::<T>(3)?.unwrap_or_default()));
            }
            Ok(triples)
        })
    }
}
