//! PostgreSQL's own ways, as a careful person would write them. Each is a process of its own,
//! says `done` on standard output and is then measured and killed.

use std::{future::pending, pin::pin};

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls, binary_copy::BinaryCopyInWriter, types::Type};

use crate::{
    row::{COLUMNS, Row},
    scenario::Scenario,
};

/// Binary COPY of all rows into the table.
pub async fn copy(dsn: &str, scenario: Scenario, rows: u64) -> Result<()> {
    let client = connect(dsn).await?;
    copy_rows(&client, "sensor", scenario.rows(rows)).await?;
    done().await
}

/// COPY into an unlogged table, then one statement that inserts from there: a transaction per
/// batch, as a stream would be loaded. The last row of a key counts, and a row that would not
/// change is not written.
pub async fn bulk_sql(dsn: &str, scenario: Scenario, rows: u64, batch_rows: u64) -> Result<()> {
    let mut client = connect(dsn).await?;
    let (latest, order, number) = match scenario {
        Scenario::RepeatedKeys => {
            ("distinct on (sensor, ts)", ", number desc", ", number bigserial")
        }
        _ => ("", "", ""),
    };
    let staging = format!(
        "create unlogged table staging (sensor int4, ts timestamptz, value float8, note text{number})"
    );
    client.batch_execute(&staging).await?;
    let batch_rows = usize::try_from(batch_rows)?;
    let merge = format!(
        "insert into sensor ({COLUMNS}) select {latest} {COLUMNS} from staging \
         order by sensor, ts{order} \
         on conflict (sensor, ts) do update set value = excluded.value, note = excluded.note \
         where (sensor.value, sensor.note) is distinct from (excluded.value, excluded.note)"
    );
    let mut rows = scenario.rows(rows).peekable();
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
