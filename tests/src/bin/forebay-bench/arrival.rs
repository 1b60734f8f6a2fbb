//! When a system that says nothing has written its first row, and its last.

use std::collections::BTreeMap;

use anyhow::Result;
use forebay_tests::Database;
use tokio_postgres::{Client, Statement, types::ToSql};

use crate::{row::Row, stream::Stream, table::Table, value::Value};

/// The first and the last row of each partition of a topic. Who reads partitions in their order
/// has begun when the key of a first row is there, and is done when all last ones are.
pub struct Ends {
    first: Vec<Row>,
    last: Vec<Row>,
}

impl Ends {
    pub fn of(stream: &Stream, events: u64) -> Self {
        let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
        for row in stream.rows(events) {
            let partition = stream.partition(row);
            first.entry(partition).or_insert(row);
            last.insert(partition, row);
        }
        Self { first: first.into_values().collect(), last: last.into_values().collect() }
    }
}

/// A look at the table.
pub struct Arrival {
    client: Client,
    /// The first transaction that counts.
    since: i64,
    begun: Look,
    complete: Look,
}

impl Arrival {
    /// Only what is written from now on counts.
    pub async fn expect(database: &Database, table: &Table, ends: &Ends) -> Result<Self> {
        let client = database.connect_primary().await?;
        // A few probes of the key, whatever the planner knows of a table that grows.
        let probe = "set enable_seqscan = off; set enable_hashjoin = off; \
                     set enable_mergejoin = off; set enable_bitmapscan = off";
        client.batch_execute(probe).await?;
        let since = "select pg_snapshot_xmax(pg_current_snapshot())::text::int8";
        let since = client.query_one(since, &[]).await?.get(0);
        let begun = Look::prepare(&client, table, table.key_places(), &ends.first).await?;
        let all = (0..table.columns.len()).collect();
        let complete = Look::prepare(&client, table, all, &ends.last).await?;
        Ok(Self { client, since, begun, complete })
    }

    /// Whether the first batch is there.
    pub async fn has_begun(&self) -> Result<bool> {
        Ok(self.begun.count(&self.client, self.since).await? > 0)
    }

    /// Whether all rows are there.
    pub async fn is_complete(&self) -> Result<bool> {
        let count = self.complete.count(&self.client, self.since).await?;
        Ok(count == self.complete.rows)
    }
}

/// A look for some rows by some columns.
struct Look {
    rows: usize,
    /// Column by column.
    values: Vec<Vec<Value>>,
    statement: Statement,
}

impl Look {
    async fn prepare(
        client: &Client,
        table: &Table,
        places: Vec<usize>,
        rows: &[Row],
    ) -> Result<Self> {
        let columns: Vec<_> = places.iter().map(|place| &table.columns[*place]).collect();
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let arrays: Vec<_> = (1..)
            .zip(&columns)
            .map(|(number, column)| format!("${number}::{}[]", column.kind.sql().name()))
            .collect();
        let (names, arrays, last) = (names.join(", "), arrays.join(", "), columns.len() + 1);
        let name = &table.name;
        let sql = format!(
            "select count(*) from unnest({arrays}) as expected ({names}) \
             join {name} using ({names}) where {name}.xmin::text::int8 >= ${last}::int8"
        );
        let statement = client.prepare(&sql).await?;
        let whole: Vec<_> = rows.iter().map(|row| table.values(*row)).collect();
        let column = |place: &usize| whole.iter().map(|row| row[*place].clone()).collect();
        let values = places.iter().map(column).collect();
        Ok(Self { rows: rows.len(), values, statement })
    }

    async fn count(&self, client: &Client, since: i64) -> Result<usize> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> = Vec::new();
        parameters.extend(self.values.iter().map(|values| values as &(dyn ToSql + Sync)));
        parameters.push(&since);
        let row = client.query_one(&self.statement, &parameters).await?;
        Ok(usize::try_from(row.get::<_, i64>(0))?)
    }
}
