//! The batch as it stands in the staging tables: checked and counted.

use std::collections::BTreeSet;
use std::time::Instant;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use super::cut::Run;
use super::expected::{Expected, expected};
use crate::attempt::{Attempt, Raised, attempt};
use crate::description::{changes, describe};
use crate::identity::as_table_owner;
use crate::policy::{Fault, fault_of};
use crate::query::query;
use crate::size::Size;
use crate::statement::Staging;
use crate::statement::look::Which;
use crate::statement::shape::Shape;
use crate::target::{Column, ForeignKey, Policy, Target};

/// What the writer says that it has staged.
pub struct Staged {
    /// The targets.
    pub relations: Vec<Oid>,
    /// How many rows of each.
    pub rows: Vec<i64>,
    /// The targets whose rows stand in the order of their keys.
    pub ordered: Vec<Oid>,
}

impl Staged {
    /// How many rows of a target.
    fn rows_of(&self, relation: Oid) -> i64 {
        let place = self.relations.iter().position(|one| *one == relation);
        place.and_then(|place| self.rows.get(place).copied()).unwrap_or(0)
    }
}

/// The rows of one target.
pub struct Part {
    /// The target.
    pub target: Target,
    /// The slot whose staging table holds them.
    pub slot: i32,
    /// Whether they stand in the order of their keys.
    pub is_ordered: bool,
    /// How many.
    pub rows: i64,
    /// How many of them delete.
    pub deletes: i64,
    /// The sets of columns that the other rows name; none stands for all columns.
    pub given: Vec<Option<Vec<i16>>>,
    /// The columns that any of them names; none stands for all columns.
    pub given_by_any: Option<Vec<i16>>,
    /// What is expected to be stored of its rows. Unless it is anything, none of the keys that are
    /// written is expected to stand twice, and writing shows it.
    pub expected: Expected,
    /// About how many rows there are, here and in the target.
    pub size: Size,
    /// Whether it is known if a key stands twice.
    pub knows_keys: bool,
    /// Whether a key stands twice.
    pub repeats_key: bool,
    /// Whether a key stands twice in an event.
    pub repeats_key_in_event: bool,
    /// Whether a key is no value of its type, or is null where it deletes: no set can have its row.
    pub has_bad_key: bool,
}

/// More different sets of named columns than this are not worth a statement each.
const MOST_SHAPES: usize = 16;

impl Part {
    /// Its staging table.
    pub fn staging(&self) -> Staging<'_> {
        self.staging_of(Run::ALL)
    }

    /// Its staging table, for the statements of a run.
    pub fn staging_of(&self, run: Run) -> Staging<'_> {
        Staging {
            target: &self.target,
            slot: self.slot,
            is_whole: run == Run::ALL,
            is_ordered: self.is_ordered,
        }
    }

    /// How its rows name columns.
    pub fn shape(&self) -> Shape<'_> {
        match self.given.as_slice() {
            [] | [None] => Shape::All,
            [Some(given)] => Shape::Some(given),
            _ => Shape::Mixed(self.given_by_any.as_deref()),
        }
    }

    /// Which of its rows write, if they are merged as a set.
    pub fn which(&self) -> Which {
        if self.repeats_key && self.target.policy == Policy::Update {
            Which::Last
        } else {
            Which::All
        }
    }

    /// What is expected to be stored of its rows.
    fn expect(&self) -> Expected {
        let may_be = if self.target.key.is_empty() || self.deletes > 0 {
            Expected::Anything
        } else {
            expected(self.target.id)
        };
        match may_be {
            Expected::Changed if !self.target.guard.is_empty() => Expected::Anything,
            Expected::Changed | Expected::Same if !self.is_judged_alone() => Expected::Anything,
            _ => may_be,
        }
    }

    /// Whether what one of its rows violates by itself does not depend on other rows of the same key.
    pub fn is_judged_alone(&self) -> bool {
        self.target.policy == Policy::Update && self.shape() == Shape::All
    }

    /// Removes the rows of these events, and returns how many of them don't delete.
    pub fn remove(&self, batch: u64, events: &BTreeSet<i32>) -> Result<i64, Raised> {
        Spi::connect_mut(|client| {
            let events: Vec<i32> = events.iter().copied().collect();
            let arguments = [batch_argument(batch), events.into()];
            let removed = query(client, &self.staging().remove_events(), self.size, &arguments)?;
            Ok(removed.first()?.get::<i64>(1)?.unwrap_or(0))
        })
    }

    /// Whether its rows are applied one by one, whatever they are.
    pub fn is_walked(&self) -> bool {
        let names_nothing = |given: &Option<Vec<i16>>| given.as_ref().is_some_and(Vec::is_empty);
        self.target.why_walked.is_some()
            || self.has_bad_key
            || self.given.len() > MOST_SHAPES
            || (self.given.len() > 1 && self.target.policy == Policy::Ignore)
            || (self.target.policy == Policy::Append
                && (self.deletes > 0 || self.given.iter().any(names_nothing)))
    }

    /// Whether a delete can have a say in what other rows may do.
    pub fn is_entangled(&self) -> bool {
        self.target.referenced || !self.target.guard.is_empty()
    }

    /// Whether a row may replace an earlier one of the same key in a set: only where all that the
    /// earlier one may violate is looked at, since it is not written.
    fn is_replaceable(&self) -> bool {
        let is_plain = |column: &Column| !column.is_converted();
        self.target.policy == Policy::Update
            && self.target.guard.is_empty()
            && !self.target.hides_checks
            && self.target.columns.iter().all(is_plain)
            && self.target.key_is_spelt_one_way
            && self.shape() == Shape::All
    }
}

/// A batch, ready to be merged.
pub struct Batch {
    /// The staging transaction.
    pub id: u64,
    /// In the order in which they are written; those without rows are left out.
    pub parts: Vec<Part>,
    /// The foreign keys of the targets.
    pub foreign_keys: Vec<ForeignKey>,
    /// What [`changes`] was before its targets were described.
    pub changes: u64,
    /// Seconds that counting took.
    pub count_seconds: f64,
}

impl Batch {
    /// Counts what is staged (FB002 if it is not what the writer says), and removes the rows of the
    /// events that a format has rejected.
    pub fn open(slot: i32, staged: &Staged, rejected: &[i32]) -> Result<Self, Raised> {
        let started = Instant::now();
        attempt(|_| {
            let changes = changes();
            let set = describe(&staged.relations)?;
            // SAFETY: the transaction has an id since `stage`; otherwise it gets one now.
            let id = unsafe { pg_sys::GetTopFullTransactionId() }.value;
            let mut parts = Vec::with_capacity(set.targets.len());
            for target in set.targets {
                parts.push(Spi::connect_mut(|client| {
                    count_part(client, id, target, slot, staged, rejected)
                })?);
            }
            parts.retain(|part| part.rows > 0);
            let foreign_keys = set.foreign_keys;
            let mut batch = Batch { id, parts, foreign_keys, changes, count_seconds: 0.0 };
            batch.look_at_keys(|part| part.expected == Expected::Anything)?;
            batch.count_seconds = started.elapsed().as_secs_f64();
            Ok(batch)
        })
    }

    /// Finds out for all parts whether a key stands twice.
    pub fn know_keys(&mut self) -> Result<(), Raised> {
        let started = Instant::now();
        attempt(|_| self.look_at_keys(|_| true))?;
        self.count_seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn look_at_keys(&mut self, is_meant: impl Fn(&Part) -> bool) -> Result<(), Raised> {
        let id = self.id;
        let parts = self.parts.iter_mut();
        for part in parts.filter(|part| !part.knows_keys && is_meant(part)) {
            look_at_keys(id, part)?;
            part.knows_keys = true;
        }
        Ok(())
    }

    /// Whether it is known of all parts if a key stands twice.
    pub fn knows_keys(&self) -> bool {
        self.parts.iter().all(|part| part.knows_keys)
    }

    /// Whether none of its rows deletes.
    pub fn deletes_nothing(&self) -> bool {
        self.parts.iter().all(|part| part.deletes == 0)
    }

    /// The part of a target, if it has rows.
    pub fn part_of(&self, relation: Oid) -> Option<&Part> {
        self.parts.iter().find(|part| part.target.relation() == relation)
    }

    /// The grant, as SQL, that may be missing where a right is.
    pub fn missing_grant(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| part.target.missing_grant.as_deref())
    }

    /// About how many rows there are of what a foreign key refers to, here and in its table.
    pub fn parent_size(&self, foreign_key: &ForeignKey) -> Size {
        let parent = foreign_key.parent();
        self.part_of(parent).map_or_else(|| Size::of_table(parent), |part| part.size)
    }

    /// Whether a row of this part may replace an earlier one of the same key in a set.
    pub fn is_replaceable(&self, part: &Part) -> bool {
        part.is_replaceable()
            && self.foreign_keys.iter().all(|foreign_key| {
                foreign_key.child() != part.target.relation() || foreign_key.foreseeable
            })
    }

    /// Whether all of its rows are applied one by one: two of its targets share rows, or a foreign key
    /// between two of them can't be looked at as a set.
    pub fn is_walked(&self) -> bool {
        let targets = || self.parts.iter().map(|part| &part.target);
        targets().any(|one| targets().any(|other| one.overlaps(other)))
            || self.foreign_keys.iter().any(|foreign_key| self.is_unforeseeable(foreign_key))
    }

    fn is_unforeseeable(&self, foreign_key: &ForeignKey) -> bool {
        let Some(child) = self.part_of(foreign_key.child()) else { return false };
        if self.parts.iter().any(|part| foreign_key.may_refer_to_part(&part.target)) {
            return true;
        }
        let Some(parent) = self.part_of(foreign_key.parent()) else { return false };
        !foreign_key.foreseeable
            || !foreign_key.refers_to_key
            || !child.shape().knows_all(&child.target, &foreign_key.child_columns)
            || child.target.owner() != parent.target.owner()
    }
}

/// The argument `$1` of the statements that read a batch.
pub fn batch_argument<'a>(id: u64) -> DatumWithOid<'a> {
    // SAFETY: an `xid8` is an unsigned 64-bit number, passed by value as `int8` is.
    unsafe { DatumWithOid::new(id as i64, pg_sys::XID8OID) }
}

fn count_part(
    client: &mut SpiClient<'_>,
    id: u64,
    target: Target,
    slot: i32,
    staged: &Staged,
    rejected: &[i32],
) -> Result<Part, Raised> {
    let said = staged.rows_of(target.relation());
    let size = Size::of(said.unsigned_abs()).and(Size::of_table(target.relation()));
    let mut part = counted(client, id, target, slot, size)?;
    if part.rows != said {
        return Err(Raised::new(
            "FB002",
            format!(
                "{} rows are staged for {}, and the writer says {said}",
                part.rows, part.target.display
            ),
        )
        .with_hint("Stage and merge in one transaction, and repeat the batch."));
    }
    if !rejected.is_empty() && part.rows > 0 {
        part.remove(id, &rejected.iter().copied().collect())?;
        part = counted(client, id, part.target, slot, size)?;
    }
    part.is_ordered = staged.ordered.contains(&part.target.relation());
    Ok(part)
}

/// Finds out whether a key stands twice, and whether in one event. Keys are compared with the rights of
/// the target's owner, whose types they may have.
fn look_at_keys(id: u64, part: &mut Part) -> Result<(), Raised> {
    if part.target.key.is_empty() || part.has_bad_key {
        return Ok(());
    }
    match attempt(|attempt| repeats_key(attempt, id, part)) {
        Ok(repeats) => (part.repeats_key, part.repeats_key_in_event) = repeats,
        Err(raised) if fault_of(&raised.sqlstate) == Fault::Event => part.has_bad_key = true,
        Err(raised) => return Err(raised),
    }
    Ok(())
}

fn repeats_key(attempt: &Attempt, id: u64, part: &Part) -> Result<(bool, bool), Raised> {
    as_table_owner(attempt, part.target.owner(), || {
        Spi::connect_mut(|client| {
            let answers_true = |sql: String| {
                let rows = query(client, &sql, part.size, &[batch_argument(id)])?;
                Ok::<_, Raised>(rows.first()?.get::<bool>(1)?.unwrap_or(false))
            };
            let repeats = answers_true(part.staging().repeats_key())?;
            let in_event = repeats && answers_true(part.staging().repeats_key_in_event())?;
            Ok((repeats, in_event))
        })
    })
}

fn counted(
    client: &SpiClient<'_>,
    id: u64,
    target: Target,
    slot: i32,
    size: Size,
) -> Result<Part, Raised> {
    let staging = Staging { target: &target, slot, is_whole: true, is_ordered: false };
    let rows = query(client, &staging.count(), size, &[batch_argument(id)])?;
    let row = rows.first()?;
    let rows = row.get::<i64>(1)?.unwrap_or(0);
    let deletes = row.get::<i64>(2)?.unwrap_or(0);
    let naming_all = row.get::<i64>(3)?.unwrap_or(0);
    let (least, greatest) = (row.get::<Vec<i16>>(4)?, row.get::<Vec<i16>>(5)?);
    let has_bad_key = row.get::<bool>(6)?.unwrap_or(false);
    let given = match least {
        None => vec![None],
        Some(least) if naming_all == 0 && greatest.as_ref() == Some(&least) => vec![Some(least)],
        Some(_) => shapes(client, id, &staging, size)?,
    };
    let given_by_any =
        given.iter().cloned().collect::<Option<Vec<_>>>().map(|given| given.concat());
    let mut part = Part {
        target,
        slot,
        is_ordered: false,
        rows,
        deletes,
        given,
        given_by_any,
        expected: Expected::Anything,
        size,
        knows_keys: false,
        repeats_key: false,
        repeats_key_in_event: false,
        has_bad_key,
    };
    part.expected = part.expect();
    Ok(part)
}

/// The sets of columns that rows name; none stands for all.
fn shapes(
    client: &SpiClient<'_>,
    id: u64,
    staging: &Staging,
    size: Size,
) -> Result<Vec<Option<Vec<i16>>>, Raised> {
    let rows = query(client, &staging.shapes(), size, &[batch_argument(id)])?;
    rows.iter().map(|row| row.get::<Vec<i16>>(1)).collect()
}
