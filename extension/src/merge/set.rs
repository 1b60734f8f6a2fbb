//! A batch whose events plainly do not interact, merged as one set.
//!
//! Plainly: nothing is deleted; no key stands twice, but in targets that ignore the second; every
//! row of a target names the same columns; no row refers to a parent that only a later event gives;
//! no stored row gives up a value of another unique index; nothing differs where it must be
//! identical. Whatever then raises may be one event's fault, and the batch is walked.

use std::time::Instant;

use pgrx::prelude::*;

use super::answer::{Answer, Seconds, Tally};
use super::batch::{Batch, Given, Part, batch_argument};
use crate::attempt::{Attempt, Raised, attempt};
use crate::identity::as_table_owner;
use crate::plan::{Plan, query_level};
use crate::policy::{Fault, fault_of};
use crate::statement::{self, Named};
use crate::target::Policy;

/// What is stored already of a part's rows.
#[derive(Debug, Default, Clone, Copy)]
struct Stored {
    rows: i64,
    differing: i64,
    moves_guard: bool,
}

/// Merges the batch as a set. `None`: its events may interact, or one of them raised; nothing is
/// written then.
pub fn merge(batch: &Batch) -> Result<Option<Answer>, Raised> {
    let started = Instant::now();
    let Some(stored) = attempt(|attempt| look(attempt, batch))? else { return Ok(None) };
    let look = started.elapsed().as_secs_f64();
    let started = Instant::now();
    match attempt(|attempt| write(attempt, batch, &stored)) {
        Ok(targets) => Ok(Some(Answer {
            path: "set",
            runs: 1,
            subtransactions: 3,
            targets,
            rejected: Vec::new(),
            seconds: Seconds {
                count: batch.count_seconds,
                look,
                write: started.elapsed().as_secs_f64(),
            },
        })),
        Err(raised) if fault_of(&raised.sqlstate) == Fault::Event => Ok(None),
        Err(raised) => Err(raised),
    }
}

fn look(attempt: &Attempt, batch: &Batch) -> Result<Option<Vec<Stored>>, Raised> {
    if batch.parts.iter().any(|part| part.deletes > 0 || part.given == Given::Mixed) {
        return Ok(None);
    }
    if repeats_key(batch)? || parent_comes_later(batch)? {
        return Ok(None);
    }
    let mut stored = Vec::with_capacity(batch.parts.len());
    for part in &batch.parts {
        let found =
            as_table_owner(attempt, part.target.owner(), || look_at_stored(batch.id, part))?;
        let clashes = part.target.policy == Policy::Identical && found.differing > 0;
        if found.moves_guard || clashes {
            return Ok(None);
        }
        stored.push(found);
    }
    Ok(Some(stored))
}

fn repeats_key(batch: &Batch) -> Result<bool, Raised> {
    for part in &batch.parts {
        let is_keyed = matches!(part.target.policy, Policy::Update | Policy::Identical);
        if is_keyed && answers_true(batch.id, &part.staging().repeats_key())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn parent_comes_later(batch: &Batch) -> Result<bool, Raised> {
    for foreign_key in &batch.foreign_keys {
        let (Some(child), Some(parent)) =
            (batch.part_of(foreign_key.child()), batch.part_of(foreign_key.parent()))
        else {
            continue;
        };
        let sql = statement::parent_comes_later(foreign_key, child.staging(), parent.staging());
        if answers_true(batch.id, &sql)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn answers_true(batch_id: u64, sql: &str) -> Result<bool, Raised> {
    Spi::connect_mut(|client| {
        let row = client.update(sql, None, &[batch_argument(batch_id)])?.first();
        Ok(row.get::<bool>(1)?.unwrap_or(false))
    })
}

fn look_at_stored(batch_id: u64, part: &Part) -> Result<Stored, Raised> {
    if matches!(part.target.policy, Policy::Append | Policy::Ignore) {
        return Ok(Stored::default());
    }
    let sql = part.staging().look(&named_by(part));
    Spi::connect_mut(|client| {
        let row = client.update(sql.as_str(), None, &[batch_argument(batch_id)])?.first();
        Ok(Stored {
            rows: row.get::<i64>(1)?.unwrap_or(0),
            differing: row.get::<i64>(2)?.unwrap_or(0),
            moves_guard: row.get::<bool>(3)?.unwrap_or(false),
        })
    })
}

fn named_by(part: &Part) -> Named<'_> {
    let given = match &part.given {
        Given::Some(given) => Some(given.as_slice()),
        Given::All | Given::Mixed => None,
    };
    Named::new(&part.target, given)
}

/// Writes all parts. Targets of one owner share a query level, so that foreign keys among them are
/// checked when all of them are written; after-triggers run as the owner of their own table.
fn write(attempt: &Attempt, batch: &Batch, stored: &[Stored]) -> Result<Vec<Tally>, Raised> {
    let mut tallies = Vec::with_capacity(batch.parts.len());
    let parts: Vec<_> = batch.parts.iter().zip(stored).collect();
    for group in parts.chunk_by(|(one, _), (next, _)| one.target.owner() == next.target.owner()) {
        let Some((first, _)) = group.first() else { continue };
        as_table_owner(attempt, first.target.owner(), || {
            query_level(attempt, || {
                for (part, stored) in group {
                    tallies.push(write_part(batch.id, part, stored)?);
                }
                Ok(())
            })
        })?;
    }
    Ok(tallies)
}

fn write_part(batch_id: u64, part: &Part, stored: &Stored) -> Result<Tally, Raised> {
    let staging = part.staging();
    let named = named_by(part);
    let mut tally = Tally::of(&part.target);
    if part.target.policy == Policy::Update && stored.differing > 0 {
        if answers_true(batch_id, &staging.lock_differing(&named))? {
            return Err(Raised::new("23505", "a stored row was changed by another session"));
        }
        tally.updated = run(batch_id, &staging.update_differing(&named))?;
    }
    tally.inserted = match part.target.policy {
        Policy::Ignore => run(batch_id, &staging.insert_ignoring(&named))?,
        _ if stored.rows < part.rows => run(batch_id, &staging.insert(&named, stored.rows > 0))?,
        _ => 0,
    };
    let is_looked_at = matches!(part.target.policy, Policy::Update | Policy::Identical);
    let is_complete = stored.rows as u64 + tally.inserted == part.rows as u64
        && (part.target.policy == Policy::Identical || tally.updated == stored.differing as u64);
    if is_looked_at && !is_complete {
        return Err(Raised::new("23505", "a row was written by another session since the look"));
    }
    tally.unchanged = (part.rows as u64).saturating_sub(tally.inserted + tally.updated);
    Ok(tally)
}

fn run(batch_id: u64, sql: &str) -> Result<u64, Raised> {
    Spi::connect_mut(|_| {
        let plan = Plan::prepare(sql, &[pgrx::pg_sys::XID8OID])?;
        plan.write(&[pgrx::pg_sys::Datum::from(batch_id)])
    })
}
