//! The batch as it stands in the staging tables: checked and counted.

use std::time::Instant;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use crate::attempt::{Raised, attempt};
use crate::statement::Staging;
use crate::target::{ForeignKey, Target, TargetSet};

/// The rows of one target.
pub struct Part {
    /// The target.
    pub target: Target,
    /// The slot whose staging table holds them.
    pub slot: i32,
    /// How many.
    pub rows: i64,
    /// How many of them delete.
    pub deletes: i64,
    /// The columns that the rows name.
    pub given: Given,
}

impl Part {
    /// Its staging table.
    pub fn staging(&self) -> Staging<'_> {
        Staging { target: &self.target, slot: self.slot }
    }
}

/// The columns that the rows of a part name.
#[derive(Debug, PartialEq, Eq)]
pub enum Given {
    /// All, in every row.
    All,
    /// These, in every row.
    Some(Vec<i16>),
    /// Not the same in every row, or none at all.
    Mixed,
}

/// A batch, ready to be merged.
pub struct Batch {
    /// The staging transaction.
    pub id: u64,
    /// In the order in which they are written; those without rows are left out.
    pub parts: Vec<Part>,
    /// The foreign keys among the targets.
    pub foreign_keys: Vec<ForeignKey>,
    /// Seconds that counting took.
    pub count_seconds: f64,
}

impl Batch {
    /// Counts what is staged (FB002 if it is not what the writer says), and removes the rows of the
    /// events that a format has rejected.
    pub fn open(
        slot: i32,
        relations: &[Oid],
        rows: &[i64],
        rejected: &[i32],
    ) -> Result<Self, Raised> {
        let started = Instant::now();
        attempt(|_| {
            let set = TargetSet::load(relations)?;
            // SAFETY: the transaction has an id since `stage`; otherwise it gets one now.
            let id = unsafe { pg_sys::GetTopFullTransactionId() }.value;
            let mut parts = Vec::with_capacity(set.targets.len());
            for target in set.targets {
                let said = relations
                    .iter()
                    .position(|relation| *relation == target.relation())
                    .and_then(|place| rows.get(place).copied())
                    .unwrap_or(0);
                parts.push(Spi::connect_mut(|client| {
                    count_part(client, id, target, slot, said, rejected)
                })?);
            }
            parts.retain(|part| part.rows > 0);
            Ok(Batch {
                id,
                parts,
                foreign_keys: set.foreign_keys,
                count_seconds: started.elapsed().as_secs_f64(),
            })
        })
    }

    /// The part of a target, if it has rows.
    pub fn part_of(&self, relation: Oid) -> Option<&Part> {
        self.parts.iter().find(|part| part.target.relation() == relation)
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
    said: i64,
    rejected: &[i32],
) -> Result<Part, Raised> {
    let mut part = counted(client, id, target, slot)?;
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
        let arguments = [batch_argument(id), rejected.to_vec().into()];
        client.update(part.staging().remove_events().as_str(), None, &arguments)?;
        part = counted(client, id, part.target, slot)?;
    }
    Ok(part)
}

fn counted(client: &mut SpiClient<'_>, id: u64, target: Target, slot: i32) -> Result<Part, Raised> {
    let sql = Staging { target: &target, slot }.count();
    let row = client.update(sql.as_str(), None, &[batch_argument(id)])?.first();
    let rows = row.get::<i64>(1)?.unwrap_or(0);
    let deletes = row.get::<i64>(2)?.unwrap_or(0);
    let naming_all = row.get::<i64>(3)?.unwrap_or(0);
    let least = row.get::<Vec<i16>>(4)?;
    let greatest = row.get::<Vec<i16>>(5)?;
    let given = match least {
        None => Given::All,
        Some(least)
            if naming_all == 0 && !least.is_empty() && greatest.as_ref() == Some(&least) =>
        {
            Given::Some(least)
        }
        Some(_) => Given::Mixed,
    };
    Ok(Part { target, slot, rows, deletes, given })
}
