//! Runs that a batch names and the repository does not have: they are made before its rows are
//! merged, and go again if every event that names them is rejected.

use std::cell::RefCell;

use pgrx::JsonB;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::SpiClient;
use serde_json::json;

use super::lookup::{RUN, Repository, Run};
use super::{References, owner_of};
use crate::attempt::{Attempt, Raised, attempt};
use crate::identity::as_table_owner;
use crate::merge::batch_argument;
use crate::statement::quoted;

thread_local! {
    /// What the current transaction has made, if it has.
    static MADE: RefCell<Option<Made>> = const { RefCell::new(None) };
}

struct Made {
    transaction: u64,
    schema: String,
    runs: Vec<i64>,
}

/// Makes the runs that events other than the `rejected` name, and returns how many.
pub fn create(
    attempt: &Attempt,
    client: &mut SpiClient<'_>,
    repository: &mut Repository,
    references: &References,
    rejected: &[i32],
) -> Result<usize, Raised> {
    let sql = format!(
        "select coalesce(array_agg(distinct r.run collate \"C\"), '{{}}') from {} r \
         where r._batch >= $1 and r._event <> all ($2) and r.run <> all ($3)",
        references.staging
    );
    let known: Vec<_> = repository.runs.iter().map(|run| run.name.clone()).collect();
    let arguments = [batch_argument(references.batch), rejected.to_vec().into(), known.into()];
    let row = client.update(sql.as_str(), None, &arguments)?.first();
    let names = row.get::<Vec<String>>(1)?.unwrap_or_default();
    if names.is_empty() {
        return Ok(0);
    }
    let owner = owner_of(client, &repository.schema, "collection")?;
    let made = as_table_owner(attempt, owner, || {
        let names = names.into_iter();
        names
            .map(|name| create_one(client, &repository.schema, name))
            .collect::<Result<Vec<Run>, Raised>>()
    })?;
    MADE.set(Some(Made {
        transaction: references.batch,
        schema: repository.schema.clone(),
        runs: made.iter().map(|run| run.id).collect(),
    }));
    let new_runs = made.len();
    repository.runs.extend(made);
    Ok(new_runs)
}

fn create_one(client: &mut SpiClient<'_>, schema: &str, name: String) -> Result<Run, Raised> {
    let schema = quoted(schema);
    let sql = format!(
        "insert into {schema}.collection (collection_id, name, type, doc) \
         values (nextval($1::regclass), $2, $3, null) on conflict do nothing returning collection_id"
    );
    let sequence = format!("{schema}.collection_seq_collection_id");
    let arguments = [sequence.into(), name.clone().into(), RUN.into()];
    let id = match client.update(sql.as_str(), None, &arguments)?.next() {
        Some(row) => row.get::<i64>(1)?,
        None => None,
    };
    // Another session has made a collection of this name after it was looked up.
    let id = id.ok_or_else(|| {
        Raised::new("40001", format!("collection \"{name}\" has been made by another session"))
    })?;
    let sql = format!("insert into {schema}.run (collection_id) values ($1)");
    client.update(sql.as_str(), None, &[id.into()])?;
    Ok(Run { name, id })
}

/// Removes the runs that this transaction has made, and that have no dataset.
///
/// Answers how many, or with the error that `forebay.butler_finish` is to raise.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn butler_remove_unused_runs() -> JsonB {
    match attempt(remove_unused) {
        Ok(removed) => JsonB(json!({ "removed": removed })),
        Err(raised) => JsonB(json!({ "error": raised })),
    }
}

fn remove_unused(attempt: &Attempt) -> Result<i64, Raised> {
    // SAFETY: a transaction that has made runs has an id; another one gets one now.
    let transaction = unsafe { pg_sys::GetTopFullTransactionId() }.value;
    let Some(made) = MADE.take().filter(|made| made.transaction == transaction) else {
        return Ok(0);
    };
    Spi::connect_mut(|client| {
        let owner = owner_of(client, &made.schema, "collection")?;
        as_table_owner(attempt, owner, || {
            let sql = format!(
                "with removed as (delete from {0}.collection c where c.collection_id = any ($1) \
                 and not exists (select from {0}.dataset d where d.run_id = c.collection_id) \
                 returning 1) select count(*) from removed",
                quoted(&made.schema)
            );
            let row = client.update(sql.as_str(), None, &[made.runs.into()])?.first();
            Ok(row.get::<i64>(1)?.unwrap_or(0))
        })
    })
}
