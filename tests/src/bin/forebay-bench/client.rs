//! PostgreSQL's own ways, as a careful person would write them. Each is a process of its own,
//! says `done` on standard output and is then measured and killed.

use std::{
    ffi::OsStr,
    fs,
    future::pending,
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, NoTls, binary_copy::BinaryCopyInWriter};

use crate::{row::Row, scenario::Scenario, stream::Stream, table::Table};

/// Binary COPY of rows into a scenario's table: a transaction per batch.
pub async fn copy(dsn: &str, scenario: &Scenario, rows: impl Iterator<Item = Row>) -> Result<()> {
    let client = connect(dsn).await?;
    let table = &scenario.stream()?.table;
    let batch_rows = usize::try_from(scenario.rows_per_commit())?;
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        copy_rows(&client, &table.name, table, rows.by_ref().take(batch_rows)).await?;
    }
    done().await
}

/// COPY into an unlogged table, then one statement that inserts from there: a transaction per
/// batch, as a stream would be loaded. The last row of a key counts, and a row that would not
/// change is not written.
pub async fn bulk_sql(dsn: &str, scenario: &Scenario, rows: u64) -> Result<()> {
    let mut client = connect(dsn).await?;
    let stream = scenario.stream()?;
    let table = &stream.table;
    let number = if stream.repeats() { ", number bigserial" } else { "" };
    let staging = format!("create unlogged table staging (like {}{number})", table.name);
    client.batch_execute(&staging).await?;
    let merge = bulk_merge(stream);
    let batch_rows = usize::try_from(scenario.rows_per_commit())?;
    let mut rows = stream.rows(rows).peekable();
    while rows.peek().is_some() {
        let transaction = client.transaction().await?;
        transaction.batch_execute("truncate staging").await?;
        let batch = rows.by_ref().take(batch_rows);
        copy_rows(transaction.client(), "staging", table, batch).await?;
        transaction.batch_execute(&merge).await?;
        transaction.commit().await?;
    }
    done().await
}

fn bulk_merge(stream: &Stream) -> String {
    let table = &stream.table;
    let (columns, key) = (table.names(), table.key.join(", "));
    let (latest, order) = if stream.repeats() {
        (format!("distinct on ({key})"), ", number desc")
    } else {
        (String::new(), "")
    };
    let other = |prefix: &str| {
        let other = table.other_columns().map(|column| format!("{prefix}{}", column.name));
        other.collect::<Vec<_>>().join(", ")
    };
    let update = if table.other_columns().next().is_none() {
        "nothing".to_owned()
    } else {
        let (names, new, old) = (other(""), other("excluded."), other(&format!("{}.", table.name)));
        format!("update set ({names}) = row({new}) where ({old}) is distinct from ({new})")
    };
    format!(
        "insert into {} ({columns}) select {latest} {columns} from staging \
         order by {key}{order} on conflict ({key}) do {update}",
        table.name
    )
}

/// COPY into unlogged tables, then a statement for each that inserts from there: a transaction for
/// each folder in `directory`, whose files hold the rows of a table each, `PLACE.TABLE`, in COPY's
/// binary format.
pub async fn bulk_sql_of_files(dsn: &str, directory: &Path) -> Result<()> {
    let mut client = connect(dsn).await?;
    let folders = sorted(directory)?;
    let first = folders.first().context("no rows")?;
    for file in sorted(first)? {
        let table = table_of(&file)?;
        let staging = format!("create unlogged table staged.\"{table}\" (like public.\"{table}\")");
        client.batch_execute(&format!("create schema if not exists staged; {staging}")).await?;
    }
    for folder in &folders {
        let transaction = client.transaction().await?;
        for file in sorted(folder)? {
            let table = table_of(&file)?;
            let staged = format!("staged.\"{table}\"");
            transaction.batch_execute(&format!("truncate {staged}")).await?;
            let sink = transaction.copy_in(&format!("copy {staged} from stdin binary")).await?;
            let mut sink = pin!(sink);
            sink.send(Bytes::from(fs::read(&file)?)).await?;
            sink.finish().await?;
            let insert = format!(
                "insert into public.\"{table}\" select * from {staged} order by 1, 2 \
                 on conflict do nothing"
            );
            transaction.batch_execute(&insert).await?;
        }
        transaction.commit().await?;
    }
    done().await
}

/// What stands in a folder, by name.
fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut paths: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

fn table_of(file: &Path) -> Result<&str> {
    file.extension().and_then(OsStr::to_str).with_context(|| file.display().to_string())
}

async fn connect(dsn: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn copy_rows(
    client: &Client,
    into: &str,
    table: &Table,
    rows: impl Iterator<Item = Row>,
) -> Result<()> {
    let sink =
        client.copy_in(&format!("copy {into} ({}) from stdin binary", table.names())).await?;
    let types: Vec<_> = table.columns.iter().map(|column| column.kind.sql()).collect();
    let mut copy = pin!(BinaryCopyInWriter::new(sink, &types));
    for row in rows {
        copy.as_mut().write_raw(&table.values(row)).await?;
    }
    copy.finish().await.context("copy").map(drop)
}

async fn done() -> Result<()> {
    println!("done");
    pending().await
}
