//! What the format `butler` adds between COPY and merge: dataset references become rows of the
//! repository's tables.
//!
//! The writer stages one row per reference, with the names that the event has. What the names
//! stand for is looked up here: the dataset type's id and tags table, the run's id. An event that
//! names what is not registered is rejected; its rows are not expanded.

mod expansion;
mod lookup;

use pgrx::JsonB;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::SpiClient;
use serde::Serialize;
use serde_json::json;

use crate::attempt::{Attempt, Raised, attempt};
use crate::merge::{Rejection, batch_argument};
use crate::statement::quoted;
use lookup::Repository;

/// What `forebay.butler_resolve` answers.
#[derive(Serialize)]
struct Resolved {
    staged: Vec<StagedRows>,
    rejected: Vec<Rejection>,
}

/// Rows that were staged for a target.
#[derive(Serialize)]
struct StagedRows {
    relation: u32,
    rows: i64,
}

/// The references that a transaction has staged.
struct References {
    batch: u64,
    slot: i32,
    /// Quoted name of their staging table.
    staging: String,
}

/// Turns the dataset references staged in `slot`, `references` of them, into staged rows of the
/// repository in `schema`.
///
/// Answers as `forebay.butler_resolve` does, or with the error that it is to raise.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn butler_resolve_staged(slot: i32, schema: &str, references: i64) -> JsonB {
    match attempt(|attempt| resolve(attempt, slot, schema, references)) {
        Ok(resolved) => JsonB(json!(resolved)),
        Err(raised) => JsonB(json!({ "error": raised })),
    }
}

fn resolve(attempt: &Attempt, slot: i32, schema: &str, said: i64) -> Result<Resolved, Raised> {
    Spi::connect_mut(|client| {
        let references = References::find(client, slot)?;
        references.check_count(client, said)?;
        let repository = Repository::look_up(attempt, client, schema, &references)?;
        let rejected = repository.rejections(client, &references)?;
        let rejected_events: Vec<i32> = rejected.iter().map(|rejection| rejection.event).collect();
        let staged = expansion::expand(client, &references, &repository, &rejected_events)?;
        Ok(Resolved { staged, rejected })
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
