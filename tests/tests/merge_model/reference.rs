//! What a stream means, by the functions of `reference.sql`.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value as Json, json};
use tokio_postgres::Client;

use crate::ddl::Copy;
use crate::kind;
use crate::schema::{Policy, Schema, Table, quoted};
use crate::stream::Event;

/// What events were rejected for, by their number: (SQLSTATE, constraint).
pub type Rejections = BTreeMap<usize, Vec<(String, String)>>;

/// Makes the functions, and the types of the schemas.
pub async fn install(client: &Client) -> Result<()> {
    client.batch_execute(kind::TYPES).await?;
    client.batch_execute(include_str!("reference.sql")).await?;
    Ok(())
}

/// Applies a stream to the reference's copy of the schema.
pub async fn apply(client: &Client, schema: &Schema, events: &[&Event]) -> Result<Rejections> {
    let tables: Vec<_> = schema.tables.iter().map(|table| describe(schema, table)).collect();
    let foreign_keys: Vec<_> = schema
        .foreign_keys
        .iter()
        .map(|key| format!("{}.{}", schema.name_of(Copy::Reference), quoted(&key.name)))
        .collect();
    let events: Vec<Json> = events
        .iter()
        .map(|event| event.rows.iter().map(|row| row.for_reference(schema)).collect())
        .collect();
    let sql = "select model.apply($1, $2, $3)";
    let row = client.query_one(sql, &[&json!(tables), &foreign_keys, &json!(events)]).await?;
    Ok(serde_json::from_value(row.get(0))?)
}

fn describe(schema: &Schema, table: &Table) -> Json {
    let name = |place: usize| quoted(&table.columns[place].name);
    let names = |places: &[usize]| -> Vec<_> { places.iter().map(|place| name(*place)).collect() };
    let types: serde_json::Map<_, _> = table
        .columns
        .iter()
        .map(|column| (quoted(&column.name), json!(column.kind.type_name())))
        .collect();
    let all: Vec<_> = (0..table.columns.len()).filter(|place| !table.key.contains(place)).collect();
    json!({
        "name": schema.table_name(Copy::Reference, table),
        "policy": policy_name(table.policy),
        "key": names(&table.key),
        "version": table.version.map(name),
        "compare": names(table.compare.as_ref().unwrap_or(&all)),
        "types": types,
    })
}

/// A policy, as `forebay.add_target` names it.
pub fn policy_name(policy: Policy) -> String {
    format!("{policy:?}").to_lowercase()
}
