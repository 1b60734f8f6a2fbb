//! Runs that a batch names and the repository does not have: they are made before its rows are
//! merged, and go again if every event that names them is rejected.

use pgrx::spi::SpiClient;

use super::lookup::{RUN, Repository, Run};
use super::{References, owner_of};
use crate::attempt::{Attempt, Raised};
use crate::identity::as_table_owner;
use crate::merge::batch_argument;
use crate::query::query;
use crate::statement::quoted;

/// Makes the runs that events other than the `rejected` name, and returns their ids.
pub fn create(
    attempt: &Attempt,
    client: &mut SpiClient<'_>,
    repository: &mut Repository,
    references: &References,
    rejected: &[i32],
) -> Result<Vec<i64>, Raised> {
    let sql = format!(
        "select coalesce(array_agg(distinct r.run collate \"C\"), '{{}}') from {} r \
         where r._batch >= $1 and r._event not in (select unnest($2)) \
         and r.run not in (select unnest($3))",
        references.staging
    );
    let known: Vec<_> = repository.runs.iter().map(|run| run.name.clone()).collect();
    let arguments = [batch_argument(references.batch), rejected.to_vec().into(), known.into()];
    let names = query(client, &sql, references.size, &arguments)?
        .first()?
        .get::<Vec<String>>(1)?
        .unwrap_or_default();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let owner = owner_of(client, &repository.schema, "collection")?;
    let made = as_table_owner(attempt, owner, || {
        let names = names.into_iter();
        names
            .map(|name| create_one(client, &repository.schema, name))
            .collect::<Result<Vec<Run>, Raised>>()
    })?;
    let ids = made.iter().map(|run| run.id).collect();
    repository.runs.extend(made);
    Ok(ids)
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

/// Removes those of these runs that have no dataset.
pub fn remove_unused(
    attempt: &Attempt,
    client: &mut SpiClient<'_>,
    schema: &str,
    runs: &[i64],
) -> Result<(), Raised> {
    let owner = owner_of(client, schema, "collection")?;
    as_table_owner(attempt, owner, || {
        let sql = format!(
            "delete from {0}.collection c where c.collection_id = any ($1) \
             and not exists (select from {0}.dataset d where d.run_id = c.collection_id)",
            quoted(schema)
        );
        client.update(sql.as_str(), None, &[runs.to_vec().into()]).map(drop)?;
        Ok(())
    })
}
