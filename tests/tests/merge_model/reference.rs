//! What a batch means, the slow and obvious way: each event alone, in a savepoint, row by row.

use anyhow::Result;
use tokio_postgres::Client;

use crate::schema::{Policy, REFERENCE, TABLES};
use crate::stream::{Event, Row, Value};

/// Why an event is not applied.
enum Refusal {
    Rejected,
    Failed(anyhow::Error),
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if code.code().starts_with("23") => Self::Rejected,
            _ => Self::Failed(error.into()),
        }
    }
}

/// Applies a stream, and returns the events that were rejected.
pub async fn apply(client: &Client, events: &[Event]) -> Result<Vec<usize>> {
    let mut rejected = Vec::new();
    client.batch_execute("begin").await?;
    for (number, event) in events.iter().enumerate() {
        client.batch_execute("savepoint event").await?;
        match apply_event(client, event).await {
            Ok(()) => client.batch_execute("release savepoint event").await?,
            Err(Refusal::Rejected) => {
                client.batch_execute("rollback to savepoint event").await?;
                rejected.push(number);
            }
            Err(Refusal::Failed(error)) => return Err(error),
        }
    }
    client.batch_execute("commit").await?;
    Ok(rejected)
}

async fn apply_event(client: &Client, event: &Event) -> Result<(), Refusal> {
    client.batch_execute("set constraints all deferred").await?;
    for row in &event.rows {
        apply_row(client, row).await?;
    }
    client.batch_execute("set constraints all immediate").await?;
    Ok(())
}

async fn apply_row(client: &Client, row: &Row) -> Result<(), Refusal> {
    let table = &TABLES[row.table];
    let name = format!("{REFERENCE}.{}", table.name);
    let of_key = format!("id = {}", row.key());
    if row.delete {
        client.batch_execute(&format!("delete from {name} where {of_key}")).await?;
        return Ok(());
    }
    let is_stored = table.policy != Policy::Append
        && client.query_opt(&format!("select from {name} where {of_key}"), &[]).await?.is_some();
    if !is_stored {
        return insert(client, &name, row).await;
    }
    match table.policy {
        Policy::Update => update(client, &name, &of_key, row).await,
        Policy::Identical => ensure_identical(client, &name, &of_key, row).await,
        Policy::Ignore | Policy::Append => Ok(()),
    }
}

async fn insert(client: &Client, name: &str, row: &Row) -> Result<(), Refusal> {
    let columns: Vec<_> = row.named().map(|(column, _)| column).collect();
    let values: Vec<_> = row.named().map(|(_, value)| literal(value)).collect();
    if columns.is_empty() {
        client.batch_execute(&format!("insert into {name} default values")).await?;
        return Ok(());
    }
    let (columns, values) = (columns.join(", "), values.join(", "));
    client.batch_execute(&format!("insert into {name} ({columns}) values ({values})")).await?;
    Ok(())
}

async fn update(client: &Client, name: &str, of_key: &str, row: &Row) -> Result<(), Refusal> {
    let assignments: Vec<_> = row
        .named()
        .skip(1)
        .map(|(column, value)| format!("{column} = {}", literal(value)))
        .collect();
    if !assignments.is_empty() {
        let assignments = assignments.join(", ");
        client.batch_execute(&format!("update {name} set {assignments} where {of_key}")).await?;
    }
    Ok(())
}

async fn ensure_identical(
    client: &Client,
    name: &str,
    of_key: &str,
    row: &Row,
) -> Result<(), Refusal> {
    for (column, value) in row.named().skip(1) {
        let sql = format!(
            "select {column} is not distinct from {} from {name} where {of_key}",
            literal(value)
        );
        if !client.query_one(&sql, &[]).await?.get::<_, bool>(0) {
            return Err(Refusal::Rejected);
        }
    }
    Ok(())
}

fn literal(value: Value) -> String {
    value.map_or_else(|| "null::int4".to_owned(), |value| format!("{value}"))
}
