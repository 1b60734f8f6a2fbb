//! PostgreSQL's own ways, as a careful person would write them. Each is a process of its own,
//! says `done` on standard output and is then measured and killed.

use std::{future::pending, pin::pin};

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls, binary_copy::BinaryCopyInWriter, types::Type};

use crate::plain::{self, COLUMNS, Row};

/// Binary COPY of all rows into the table.
pub async fn copy(dsn: &str, rows: u64) -> Result<()> {
    let client = connect(dsn).await?;
    copy_rows(&client, "sensor", plain::rows(rows)).await?;
    done().await
}

/// COPY into an unlogged table, then one statement that inserts from there: a transaction per
/// batch, as a stream would be loaded.
pub async fn bulk_sql(dsn: &str, rows: u64, batch_rows: u64) -> Result<()> {
    let mut client = connect(dsn).await?;
    client.batch_execute("create unlogged table staging as table sensor with no data").await?;
    let batch_rows = usize::try_from(batch_rows)?;
    let merge = format!(
        "insert into sensor ({COLUMNS}) select {COLUMNS} from staging order by sensor, ts \
         on conflict (sensor, ts) do update set value = excluded.value, note = excluded.note"
    );
    let mut rows = plain::rows(rows).peekable();
    while rows.peek().is_some() {
        let transaction = client.transaction().await?;
        transaction.batch_execute("truncate staging").await?;
        copy_rows(transaction.client(), "staging", rows.by_ref().take(batch_rows)).await?;
        transaction.batch_execute(&merge).await?;
        transaction.commit().await?;
    }
    done().await
}

async fn connect(dsn: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn copy_rows(client: &Client, table: &str, rows: impl Iterator<Item = Row>) -> Result<()> {
    let sink = client.copy_in(&format!("copy {table} ({COLUMNS}) from stdin binary")).await?;
    let types = [Type::INT4, Type::TIMESTAMPTZ, Type::FLOAT8, Type::TEXT];
    let mut copy = pin!(BinaryCopyInWriter::new(sink, &types));
    for row in rows {
        copy.as_mut().write(&[&row.sensor, &row.ts(), &row.value, &row.note]).await?;
    }
    copy.finish().await.context("copy").map(drop)
}

async fn done() -> Result<()> {
    println!("done");
    pending().await
}
