//! What the format `butler` adds between COPY and merge: dataset references become rows of the
//! repository's tables.
//!
//! The writer stages one row per reference, with the names that the event has. What the names
//! stand for is looked up here: the dataset type's id and tags table, the run's id; runs that are not
//! there yet are made. An event that names what is not registered, or contradicts what is, is
//! rejected; its rows are not expanded.

mod chains;
mod expansion;
mod integer;
mod known;
mod lookup;
pub mod pending;
mod pixel;
pub mod register;
mod runs;
mod summaries;
mod targets;

use std::collections::{BTreeSet, HashMap};

use pgrx::JsonB;
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;
use pgrx::spi::SpiClient;
use serde::Serialize;
use serde_json::json;

use crate::attempt::{Attempt, Raised, attempt};
use crate::merge::{Rejection, batch_argument};
use crate::query::query;
use crate::size::Size;
use crate::statement::quoted;
use chains::Chains;
use known::Known;
use lookup::Repository;
use pending::Pending;
use register::Definition;

/// What `forebay.butler_resolve` answers.
#[derive(Serialize, Default)]
struct Resolved {
    /// Dataset types that events define and the repository does not have: to be registered before
    /// the batch is staged again. Nothing else is done then.
    unregistered: Vec<Definition>,
    staged: Vec<StagedRows>,
    rejected: Vec<Rejection>,
    /// Whether `forebay.butler_finish` has something to do after the merge.
    is_pending: bool,
}

/// Rows that were staged for a target.
#[derive(Serialize)]
struct StagedRows {
    relation: u32,
    rows: i64,
}

/// What the writer has told.
pub struct Settings {
    /// Pairs of storage classes, with a blank between.
    convertible: Vec<String>,
    /// Names of dataset types that can't be registered, and why.
    refused: HashMap<String, String>,
    /// Events that are rejected, as an earlier merge of the same batch has shown.
    excluded: BTreeSet<i32>,
}

/// The references that a transaction has staged.
pub struct References {
    batch: u64,
    slot: i32,
    /// About how many there are.
    size: Size,
    /// Quoted name of their staging table.
    staging: String,
}

/// Turns the dataset references staged in `slot`, `references` of them, into staged rows of the
/// repository in `schema`, and judges so many `chains` operations. Pairs of storage classes in
/// `convertible` may stand for each other, dataset types in `refused` can't be registered, for the
/// `reasons` given, and the events in `excluded` are rejected already.
///
/// Answers as `forebay.butler_resolve` does, or with the error that it is to raise.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::too_many_arguments, reason = "they are those of forebay.butler_resolve")]
pub fn butler_resolve_staged(
    slot: i32,
    schema: &str,
    references: i64,
    chains: i64,
    convertible: Vec<String>,
    refused: Vec<String>,
    reasons: Vec<String>,
    excluded: Vec<i32>,
) -> JsonB {
    let refused = refused.into_iter().zip(reasons).collect();
    let settings = Settings { convertible, refused, excluded: excluded.into_iter().collect() };
    let said = (references, chains);
    match attempt(|attempt| resolve(attempt, slot, schema, said, &settings)) {
        Ok(resolved) => JsonB(json!(resolved)),
        Err(raised) => JsonB(json!({ "error": raised })),
    }
}

fn resolve(
    attempt: &Attempt,
    slot: i32,
    schema: &str,
    said: (i64, i64),
    settings: &Settings,
) -> Result<Resolved, Raised> {
    Spi::connect_mut(|client| {
        let references = References::find(client, slot, said.0)?;
        references.check_counts(client, said)?;
        let mut repository = Repository::look_up(attempt, client, schema, &references)?;
        let unregistered = repository.unregistered(client, &references, settings)?;
        if !unregistered.is_empty() {
            return Ok(Resolved { unregistered, ..Resolved::default() });
        }
        let mut rejected = repository.rejections(client, &references, settings)?;
        let mut dead = settings.excluded.clone();
        dead.extend(rejected.iter().map(|rejection| rejection.event));
        let known = Known::look_up(attempt, client, &repository, &references, &dead)?;
        rejected.extend(known.conflicts(attempt, client, &repository, &references)?);
        dead.extend(rejected.iter().map(|rejection| rejection.event));
        let events: Vec<i32> = dead.iter().copied().collect();
        let runs = runs::create(attempt, client, &mut repository, &references, &events)?;
        let mut chains = Chains::look_up(attempt, client, &repository, &references)?;
        rejected.extend(chains.iter_mut().flat_map(|chains| chains.judge(&dead)));
        dead.extend(rejected.iter().map(|rejection| rejection.event));
        let events: Vec<i32> = dead.into_iter().collect();
        let staged = expansion::expand(attempt, client, &references, &repository, &known, &events)?;
        rejected.retain(|rejection| !settings.excluded.contains(&rejection.event));
        rejected.sort_by_key(|rejection| rejection.event);
        rejected.dedup_by_key(|rejection| rejection.event);
        let (transaction, schema) = (references.batch, schema.to_owned());
        let pending = Pending { transaction, schema, runs, chains, assumed: known.assumed };
        let is_pending = pending.keep();
        Ok(Resolved { unregistered, staged, rejected, is_pending })
    })
}

/// A table of the repository.
struct Table {
    owner: Oid,
    /// About how large it is.
    size: Size,
}

impl Table {
    /// 42P01 if there is no such table.
    fn find(client: &SpiClient<'_>, schema: &str, table: &str) -> Result<Self, Raised> {
        let sql = "select c.relowner, c.oid from pg_class c \
                   join pg_namespace n on n.oid = c.relnamespace \
                   where n.nspname = $1 and c.relname = $2 and c.relkind = 'r'";
        let rows = query(client, sql, Size::default(), &[schema.into(), table.into()])?;
        let found = match rows.iter().next() {
            Some(row) => row.get::<Oid>(1)?.zip(row.get::<Oid>(2)?),
            None => None,
        };
        let (owner, relation) = found.ok_or_else(|| {
            Raised::new("42P01", format!("schema {schema} has no table {table}"))
                .with_hint("Name the schema of a Butler repository in the writer's configuration.")
        })?;
        Ok(Table { owner, size: Size::of_table(relation) })
    }
}

/// The owner of a table of the repository. 42P01 if there is no such table.
fn owner_of(client: &SpiClient<'_>, schema: &str, table: &str) -> Result<Oid, Raised> {
    Table::find(client, schema, table).map(|table| table.owner)
}

/// The quoted name of the staging table of one of Forebay's own targets in a slot.
fn staging_of(client: &SpiClient<'_>, target: &str, slot: i32) -> Result<String, Raised> {
    let sql = "select id from forebay.target where relation = $1::regclass";
    let rows = query(client, sql, Size::default(), &[target.into()])?;
    let missing = || Raised::new("FB003", format!("{target} is not a target"));
    let row = rows.iter().next().ok_or_else(missing)?;
    let id = row.get::<i32>(1)?.ok_or_else(missing)?;
    Ok(format!("forebay_staging.{}", quoted(&format!("t{id}_{slot}"))))
}

impl References {
    fn find(client: &SpiClient<'_>, slot: i32, said: i64) -> Result<Self, Raised> {
        // SAFETY: the transaction has an id since `stage`; otherwise it gets one now.
        let batch = unsafe { pg_sys::GetTopFullTransactionId() }.value;
        let staging = staging_of(client, "forebay.butler_ref", slot)?;
        let size = Size::of(said.unsigned_abs());
        Ok(References { batch, slot, size, staging })
    }

    fn check_counts(&self, client: &SpiClient<'_>, said: (i64, i64)) -> Result<(), Raised> {
        let chains = staging_of(client, "forebay.butler_chain", self.slot)?;
        for (staging, what, said) in
            [(&self.staging, "dataset references", said.0), (&chains, "chain operations", said.1)]
        {
            let sql = format!("select count(*) from {staging} r where r._batch >= $1");
            let rows = query(client, &sql, self.size, &[batch_argument(self.batch)])?;
            let found = rows.first()?.get::<i64>(1)?.unwrap_or(0);
            if found != said {
                let message = format!("{found} {what} are staged, and the writer says {said}");
                return Err(Raised::new("FB002", message)
                    .with_hint("Stage and merge in one transaction, and repeat the batch."));
            }
        }
        Ok(())
    }
}
