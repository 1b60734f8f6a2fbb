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

use crate::{
    row::Row,
    stream::Stream,
    system::BATCH_ROWS,
    table::{KEY, Table},
};

/// Binary COPY of all rows into the table: a transaction per batch.
pub async fn copy(dsn: &str, table: Table, rows: impl Iterator<Item = Row>) -> Result<()> {
    let client = connect(dsn).await?;
    let batch_rows = usize::try_from(BATCH_ROWS)?;
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        copy_rows(&client, "sensor", table, rows.by_ref().take(batch_rows)).await?;
    }
    done().await
}

/// COPY into an unlogged table, then one statement that inserts from there: a transaction per
/// batch, as a stream would be loaded. The last row of a key counts, and a row that would not
/// change is not written.
pub async fn bulk_sql(dsn: &str, stream: Stream, rows: u64) -> Result<()> {
    let mut client = connect(dsn).await?;
    let (latest, order, number) = match stream {
        Stream::RepeatedKeys => ("distinct on (sensor, ts)", ", number desc", ", number bigserial"),
        _ => ("", "", ""),
    };
    let staging = format!("create unlogged table staging (like sensor{number})");
    client.batch_execute(&staging).await?;
    let batch_rows = usize::try_from(BATCH_ROWS)?;
    let table = stream.table();
    let (columns, key) = (table.names(), KEY.join(", "));
    let other = |prefix| {
        let other = table.columns().iter().filter(|column| !KEY.contains(&column.name));
        let names: Vec<_> = other.map(|column| format!("{prefix}{}", column.name)).collect();
        names.join(", ")
    };
    let merge = format!(
        "insert into sensor ({columns}) select {latest} {columns} from staging \
         order by {key}{order} on conflict ({key}) do update set ({}) = row({}) \
         where ({}) is distinct from ({1})",
        other(""),
        other("excluded."),
        other("sensor."),
    );
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
    table: Table,
    rows: impl Iterator<Item = Row>,
) -> Result<()> {
    let sink =
        client.copy_in(&format!("copy {into} ({}) from stdin binary", table.names())).await?;
    let types: Vec<_> = table.columns().iter().map(|column| column.sql.clone()).collect();
    let mut copy = pin!(BinaryCopyInWriter::new(sink, &types));
    for row in rows {
        let Row { sensor, value, note, site, kind, .. } = &row;
        let (copy, ts) = (copy.as_mut(), &row.ts());
        match table {
            Table::Plain => copy.write(&[sensor, ts, value, note]).await?,
            Table::Referring => copy.write(&[sensor, ts, value, note, site, kind]).await?,
        }
    }
    copy.finish().await.context("copy").map(drop)
}

async fn done() -> Result<()> {
    println!("done");
    pending().await
}
