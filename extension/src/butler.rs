//! What the format `butler` adds between COPY and merge: dataset references become rows of the
//! repository's tables.
//!
//! The writer stages one row per reference, with the names that the event has. What the names
//! stand for is looked up here: the dataset type's id and tags table, the run's id; runs that are not
//! there yet are made. An event that names what is not registered, or contradicts what is, is
//! rejected; its rows are not expanded.

mod expansion;
mod known;
mod lookup;
pub mod register;
pub mod runs;
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
use crate::statement::quoted;
use known::Known;
use lookup::Repository;
use register::Definition;

/// What `forebay.butler_resolve` answers.
#[derive(Serialize, Default)]
struct Resolved {
    /// Dataset types that events define and the repository does not have: to be registered before
    /// the batch is staged again. Nothing else is done then.
    unregistered: Vec<Definition>,
    staged: Vec<StagedRows>,
    rejected: Vec<Rejection>,
    /// How many runs were made: those whose events all turn out to be rejected have to go again.
    new_runs: usize,
}

/// Rows that were staged for a target.
#[derive(Serialize)]
struct StagedRows {
    relation: u32,
    rows: i64,
}

/// What the writer has told.
struct Settings {
    /// Pairs of storage classes, with a blank between.
    convertible: Vec<String>,
    /// Names of dataset types that can't be registered, and why.
    refused: HashMap<String, String>,
}

/// The references that a transaction has staged.
struct References {
    batch: u64,
    slot: i32,
    /// Quoted name of their staging table.
    staging: String,
}

/// Turns the dataset references staged in `slot`, `references` of them, into staged rows of the
/// repository in `schema`. Pairs of storage classes in `convertible` may stand for each other, and dataset
/// types in `refused` can't be registered, for the `reasons` given.
///
/// Answers as `forebay.butler_resolve` does, or with the error that it is to raise.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn butler_resolve_staged(
    slot: i32,
    schema: &str,
    references: i64,
    convertible: Vec<String>,
    refused: Vec<String>,
    reasons: Vec<String>,
) -> JsonB {
    let refused = refused.into_iter().zip(reasons).collect();
    let settings = Settings { convertible, refused };
    match attempt(|attempt| resolve(attempt, slot, schema, references, &settings)) {
        Ok(resolved) => JsonB(json!(resolved)),
        Err(raised) => JsonB(json!({ "error": raised })),
    }
}

fn resolve(
    attempt: &Attempt,
    slot: i32,
    schema: &str,
    said: i64,
    settings: &Settings,
) -> Result<Resolved, Raised> {
    Spi::connect_mut(|client| {
        let references = References::find(client, slot)?;
        references.check_count(client, said)?;
        let mut repository = Repository::look_up(attempt, client, schema, &references)?;
        let unregistered = repository.unregistered(client, &references, settings)?;
        if !unregistered.is_empty() {
            return Ok(Resolved { unregistered, ..Resolved::default() });
        }
        let mut rejected = repository.rejections(client, &references, settings)?;
        let known = Known::look_up(attempt, client, &repository, &references)?;
        rejected.extend(known.conflicts(attempt, client, &repository, &references)?);
        rejected.sort_by_key(|rejection| rejection.event);
        rejected.dedup_by_key(|rejection| rejection.event);
        let events: BTreeSet<i32> = rejected.iter().map(|rejection| rejection.event).collect();
        let events: Vec<i32> = events.into_iter().collect();
        let new_runs = runs::create(attempt, client, &mut repository, &references, &events)?;
        let staged = expansion::expand(client, &references, &repository, &known, &events)?;
        Ok(Resolved { unregistered, staged, rejected, new_runs })
    })
}

/// The owner of a table of the repository. 42P01 if there is no such table.
fn owner_of(client: &mut SpiClient<'_>, schema: &str, table: &str) -> Result<Oid, Raised> {
    let mut rows = client.update(
        "select c.relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2 and c.relkind = 'r'",
        None,
        &[schema.into(), table.into()],
    )?;
    let owner = match rows.next() {
        Some(row) => row.get::<Oid>(1)?,
        None => None,
    };
    owner.ok_or_else(|| {
        Raised::new("42P01", format!("schema {schema} has no table {table}"))
            .with_hint("Name the schema of a Butler repository in the writer's configuration.")
    })
}

impl References {
    fn find(client: &mut SpiClient<'_>, slot: i32) -> Result<Self, Raised> {
        let row = client
            .update(
                "select id from forebay.target where relation = 'forebay.butler_ref'::regclass",
                None,
                &[],
            )?
            .first();
        let id = row
            .get::<i32>(1)?
            .ok_or_else(|| Raised::new("FB003", "forebay.butler_ref is not a target"))?;
        // SAFETY: the transaction has an id since `stage`; otherwise it gets one now.
        let batch = unsafe { pg_sys::GetTopFullTransactionId() }.value;
        let staging = format!("forebay_staging.{}", quoted(&format!("t{id}_{slot}")));
        Ok(References { batch, slot, staging })
    }

    fn check_count(&self, client: &mut SpiClient<'_>, said: i64) -> Result<(), Raised> {
        let sql = format!("select count(*) from {} r where r._batch >= $1", self.staging);
        let row = client.update(sql.as_str(), None, &[batch_argument(self.batch)])?.first();
        let found = row.get::<i64>(1)?.unwrap_or(0);
        if found == said {
            return Ok(());
        }
        Err(Raised::new(
            "FB002",
            format!("{found} dataset references are staged, and the writer says {said}"),
        )
        .with_hint("Stage and merge in one transaction, and repeat the batch."))
    }
}
