//! The merge, driven by SQL as a writer would.

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tokio_postgres::Client;

use crate::schema::{MERGED, TABLES};
use crate::stream::Event;

const SOURCE: &str = "model";
const TOPIC: &str = "stream";

/// How many batches took which path.
#[derive(Debug, Default)]
pub struct Paths {
    pub set: usize,
    pub walk: usize,
}

/// A claimed partition.
pub struct Merge<'a> {
    client: &'a Client,
    token: String,
    next_offset: i64,
}

impl<'a> Merge<'a> {
    pub async fn claim(client: &'a Client) -> Result<Self> {
        let sql =
            "select token::text, next_offset from forebay.claim($1, $2, '{0}', '{0}', 'test')";
        let row = client.query_one(sql, &[&SOURCE, &TOPIC]).await?;
        Ok(Self { client, token: row.get(0), next_offset: row.get(1) })
    }

    /// Merges some events as one batch, and returns the numbers of those that were rejected.
    pub async fn apply(&mut self, events: &[Event], paths: &mut Paths) -> Result<Vec<usize>> {
        self.client.batch_execute("begin").await?;
        let (slot, counts) = self.stage(events).await?;
        let next_offset = self.next_offset + i64::try_from(events.len())?;
        let staged: Vec<_> = TABLES
            .iter()
            .zip(&counts)
            .filter(|(_, count)| **count > 0)
            .map(|(table, count)| {
                format!("row('{MERGED}.{}'::regclass, {count})::forebay.staged", table.name)
            })
            .collect();
        let sql = format!(
            "select forebay.merge({slot}, '{SOURCE}',
                 array[row('{TOPIC}', 0, '{}', {}, {next_offset}, {}, 0, '\\x00')::forebay.advance],
                 array[{}]::forebay.staged[])",
            self.token,
            self.next_offset,
            next_offset - 1,
            staged.join(", ")
        );
        let answer: Json = self.client.query_one(&sql, &[]).await?.get(0);
        self.client.batch_execute("commit").await?;
        self.next_offset = next_offset;
        match answer["path"].as_str() {
            Some("set") => paths.set += 1,
            _ => paths.walk += 1,
        }
        let rejected = answer["rejected"].as_array().context("rejected")?;
        let mut numbers: Vec<_> = rejected
            .iter()
            .filter_map(|rejection| usize::try_from(rejection["event"].as_i64()?).ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Stages the rows; returns the slot, and how many for each table.
    async fn stage(&self, events: &[Event]) -> Result<(i32, Vec<usize>)> {
        let names: Vec<_> = TABLES.iter().map(|table| format!("{MERGED}.{}", table.name)).collect();
        let sql = "select s.staging::text, s.slot, c.relname::text
                   from forebay.stage($1::text[]::regclass[]) s join pg_class c on c.oid = s.relation";
        let staged = self.client.query(sql, &[&names]).await?;
        let mut counts = vec![0; TABLES.len()];
        for (number, table) in TABLES.iter().enumerate() {
            let of_table = staged.iter().find(|row| row.get::<_, String>(2) == table.name);
            let staging: String = of_table.context("a staging table")?.get(0);
            let rows: Vec<_> = rows_of(events, number).collect();
            counts[number] = rows.len();
            if !rows.is_empty() {
                let sql = format!("insert into {staging} values {}", rows.join(", "));
                self.client.batch_execute(&sql).await?;
            }
        }
        Ok((staged.first().context("a slot")?.get(1), counts))
    }
}

/// The staged rows of one table, as SQL.
fn rows_of(events: &[Event], table: usize) -> impl Iterator<Item = String> {
    events.iter().enumerate().flat_map(move |(event_number, event)| {
        event.rows.iter().enumerate().filter(move |(_, row)| row.table == table).map(
            move |(row_number, row)| {
                let given: Vec<_> = (1..)
                    .zip(&row.values)
                    .filter_map(|(attnum, value)| value.map(|_| attnum.to_string()))
                    .collect();
                let names_all = row.delete || given.len() == row.values.len();
                let given =
                    if names_all { "null".to_owned() } else { format!("'{{{}}}'", given.join(",")) };
                let values: Vec<_> = row
                    .values
                    .iter()
                    .map(|value| match value.flatten() {
                        Some(value) => value.to_string(),
                        None => "null::int4".to_owned(),
                    })
                    .collect();
                format!(
                    "(pg_current_xact_id(), {event_number}, {row_number}, '{}', {given}::int2[], {})",
                    if row.delete { 'd' } else { 'u' },
                    values.join(", ")
                )
            },
        )
    })
}
