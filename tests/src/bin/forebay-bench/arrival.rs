//! When a system that says nothing has written its first row, and its last.

use std::{collections::BTreeMap, time::SystemTime};

use anyhow::Result;
use forebay_tests::Database;
use tokio_postgres::{Client, Statement};

use crate::{row::Row, stream::Stream};

/// The first and the last row of each partition of a topic. Who reads partitions in their order
/// has begun when a first row is there, and is done when all last ones are.
pub struct Ends {
    first: Rows,
    last: Rows,
}

impl Ends {
    pub fn of(stream: Stream, events: u64) -> Self {
        let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
        for row in stream.rows(events) {
            let partition = row.sensor % stream.partitions();
            first.entry(partition).or_insert_with(|| row.clone());
            last.insert(partition, row);
        }
        Self { first: Rows::of(&first), last: Rows::of(&last) }
    }
}

/// Rows, column by column.
struct Rows {
    sensors: Vec<i32>,
    times: Vec<SystemTime>,
    values: Vec<f64>,
}

impl Rows {
    fn of(rows: &BTreeMap<i32, Row>) -> Self {
        Self {
            sensors: rows.values().map(|row| row.sensor).collect(),
            times: rows.values().map(Row::ts).collect(),
            values: rows.values().map(|row| row.value).collect(),
        }
    }
}

/// A look at the table.
pub struct Arrival<'a> {
    ends: &'a Ends,
    client: Client,
    statement: Statement,
    /// The first transaction that counts.
    first: i64,
}

impl<'a> Arrival<'a> {
    /// Only what is written from now on counts.
    pub async fn expect(database: &Database, ends: &'a Ends) -> Result<Self> {
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
        Ok(Self { ends, client, statement, first })
    }

    /// Whether the first batch is there.
    pub async fn has_begun(&self) -> Result<bool> {
        Ok(self.count(&self.ends.first).await? > 0)
    }

    /// Whether all rows are there.
    pub async fn is_complete(&self) -> Result<bool> {
        Ok(self.count(&self.ends.last).await? == i64::try_from(self.ends.last.sensors.len())?)
    }

    async fn count(&self, rows: &Rows) -> Result<i64> {
        let Rows { sensors, times, values } = rows;
        let row =
            self.client.query_one(&self.statement, &[sensors, times, values, &self.first]).await?;
        Ok(row.get(0))
    }
}
