//! The merge, driven by SQL as a writer would.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio_postgres::Client;

use crate::ddl::Copy;
use crate::schema::Schema;
use crate::stream::Event;

/// A claimed partition.
pub struct Merge<'a> {
    client: &'a Client,
    token: String,
    next_offset: i64,
    says_ordered: bool,
}

/// What a merge answers, as far as the model asks.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// `set`, `walk` or `mixed`.
    pub path: String,
    /// How many writes of a set raised what no look had foreseen.
    pub unforeseen: usize,
    pub rejected: Vec<Rejection>,
}

/// An event that was rejected.
#[derive(Debug, Deserialize)]
pub struct Rejection {
    pub event: usize,
    pub sqlstate: String,
    pub constraint: Option<String>,
}

impl<'a> Merge<'a> {
    pub async fn claim(client: &'a Client) -> Result<Self> {
        let sql = "select token::text, next_offset
                   from forebay.claim('model', 'stream', '{0}', '{0}', 'test')";
        let row = client.query_one(sql, &[]).await?;
        Ok(Self { client, token: row.get(0), next_offset: row.get(1), says_ordered: false })
    }

    /// Says from now on whether rows are staged in the order of their keys. They hardly ever are, and it
    /// must not matter.
    pub fn say_ordered(&mut self, is_ordered: bool) {
        self.says_ordered = is_ordered;
    }

    /// Merges some events as one batch. If it raises, nothing has happened.
    pub async fn apply(&mut self, schema: &Schema, events: &[Event]) -> Result<Answer> {
        self.client.batch_execute("begin").await?;
        let next_offset = self.next_offset + i64::try_from(events.len())?;
        match self.stage_and_merge(schema, events, next_offset).await {
            Ok(answer) => {
                self.client.batch_execute("commit").await?;
                self.next_offset = next_offset;
                Ok(answer)
            }
            Err(error) => {
                self.client.batch_execute("rollback").await?;
                Err(error)
            }
        }
    }

    async fn stage_and_merge(
        &self,
        schema: &Schema,
        events: &[Event],
        next_offset: i64,
    ) -> Result<Answer> {
        let rows = rows_by_table(schema, events);
        let tables: Vec<_> = rows.keys().map(String::as_str).collect();
        let slot = self.stage(&rows).await?;
        let staged: Vec<_> = rows
            .iter()
            .map(|(table, rows)| format!("row({table}::regclass, {})::forebay.staged", rows.len()))
            .collect();
        let sql = format!(
            "select forebay.merge({slot}, 'model',
                 array[row('stream', 0, '{}', {}, {next_offset}, {}, 0, '\\x00')::forebay.advance],
                 array[{}]::forebay.staged[], ordered => array[{}]::regclass[])",
            self.token,
            self.next_offset,
            next_offset - 1,
            staged.join(", "),
            if self.says_ordered { tables.join(", ") } else { String::new() }
        );
        let answer = self.client.query_one(&sql, &[]).await.context("merge")?.get(0);
        Ok(serde_json::from_value(answer)?)
    }

    /// Stages the rows; returns the slot.
    async fn stage(&self, rows: &BTreeMap<String, Vec<String>>) -> Result<i32> {
        let tables: Vec<_> = rows.keys().map(|table| format!("{table}::regclass")).collect();
        let mut slot = None;
        let sql = format!(
            "select n, s.staging::text, s.slot
             from forebay.stage(array[{0}]) s
             join unnest(array[{0}]::regclass[]) with ordinality t(relation, n) using (relation)
             order by n",
            tables.join(", ")
        );
        let staged = self.client.query(&sql, &[]).await.context("stage")?;
        for (of_table, rows) in staged.iter().zip(rows.values()) {
            let staging: String = of_table.get(1);
            slot = Some(of_table.get(2));
            let sql = format!("insert into {staging} values {}", rows.join(", "));
            self.client.batch_execute(&sql).await.with_context(|| sql.clone())?;
        }
        slot.context("a slot")
    }
}

/// The staged rows of each table that has some, by the table's name as a literal.
fn rows_by_table(schema: &Schema, events: &[Event]) -> BTreeMap<String, Vec<String>> {
    let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (event_number, event) in events.iter().enumerate() {
        for (row_number, row) in event.rows.iter().enumerate() {
            let name = schema.table_name(Copy::Merged, &schema.tables[row.table]);
            let staged = row.for_staging(schema, event_number, row_number);
            rows.entry(crate::schema::literal(Some(&name))).or_default().push(staged);
        }
    }
    rows
}
