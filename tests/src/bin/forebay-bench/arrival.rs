//! When a system that says nothing has written its last row.

use std::{collections::BTreeMap, time::SystemTime};

use anyhow::Result;
use forebay_tests::Database;
use tokio_postgres::{Client, Statement};

use crate::{row::Row, stream::Stream};

/// The last row of each partition of a topic. Who reads partitions in their order has written all
/// rows when these are there.
pub struct LastRows {
    sensors: Vec<i32>,
    times: Vec<SystemTime>,
    values: Vec<f64>,
}

impl LastRows {
    pub fn of(stream: Stream, events: u64) -> Self {
        let mut last: BTreeMap<i32, Row> = BTreeMap::new();
        for row in stream.rows(events) {
            last.insert(row.sensor % stream.partitions(), row);
        }
        Self {
            sensors: last.values().map(|row| row.sensor).collect(),
            times: last.values().map(Row::ts).collect(),
            values: last.values().map(|row| row.value).collect(),
        }
    }
}

/// A look at the table.
pub struct Arrival<'a> {
    rows: &'a LastRows,
    client: Client,
    statement: Statement,
    /// The first transaction that counts.
    first: i64,
}

impl<'a> Arrival<'a> {
    /// Only what is written from now on counts.
    pub async fn expect(database: &Database, rows: &'a LastRows) -> Result<Self> {
        let client = database.connect_primary().await?;
        // A few probes of the key, whatever the planner knows of a table that grows.
        let probe = "set enable_seqscan = off; set enable_hashjoin = off; \
                     set enable_mergejoin = off; set enable_bitmapscan = off";
        client.batch_execute(probe).await?;
        let statement = "select count(*) from unnest($1::int4[], $2::timestamptz[], $3::float8[]) \
                         as last (sensor, ts, value) join sensor using (sensor, ts, value) \
                         where sensor.xmin::text::int8 >= $4";
        let statement = client.prepare(statement).await?;
        let first = "select pg_snapshot_xmax(pg_current_snapshot())::text::int8";
        let first = client.query_one(first, &[]).await?.get(0);
        Ok(Self { rows, client, statement, first })
    }

    /// Whether all of the last rows are there.
    pub async fn complete(&self) -> Result<bool> {
        let LastRows { sensors, times, values } = self.rows;
        let row =
            self.client.query_one(&self.statement, &[sensors, times, values, &self.first]).await?;
        Ok(row.get::<_, i64>(0) == i64::try_from(sensors.len())?)
    }
}
