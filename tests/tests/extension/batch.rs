//! A batch driven by SQL, as a writer would.

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tokio_postgres::Client;

/// A claimed partition (`source`, `topic`, 0).
pub struct Source<'a> {
    client: &'a Client,
    token: String,
    next_offset: i64,
}

impl<'a> Source<'a> {
    pub async fn claim(client: &'a Client) -> Result<Self> {
        let sql = "select token::text, next_offset
                   from forebay.claim('source', 'topic', '{0}', '{0}', 'test')";
        let row = client.query_one(sql, &[]).await?;
        Ok(Self { client, token: row.get(0), next_offset: row.get(1) })
    }

    /// Stages `rows` (`event, row, op; values`) for one table and merges them, in one
    /// transaction. On an error the transaction is rolled back.
    pub async fn merge(
        &mut self,
        table: &str,
        rows: &[&str],
    ) -> Result<Json, tokio_postgres::Error> {
        self.merge_after("select", table, rows).await
    }

    /// [`merge`](Self::merge), in a transaction that begins with a statement of the caller's own.
    pub async fn merge_after(
        &mut self,
        statement: &str,
        table: &str,
        rows: &[&str],
    ) -> Result<Json, tokio_postgres::Error> {
        self.client.batch_execute(&format!("begin; {statement}")).await?;
        let outcome = self.stage_and_merge(table, rows).await;
        self.client.batch_execute(if outcome.is_ok() { "commit" } else { "rollback" }).await?;
        if outcome.is_ok() {
            self.next_offset += 100;
        }
        outcome
    }

    async fn stage_and_merge(
        &self,
        table: &str,
        rows: &[&str],
    ) -> Result<Json, tokio_postgres::Error> {
        let staged = self
            .client
            .query_one(
                "select staging::text, slot from forebay.stage(array[$1::text::regclass])",
                &[&table],
            )
            .await?;
        let (staging, slot): (String, i32) = (staged.get(0), staged.get(1));
        for row in rows {
            let (place, values) = row.split_once(';').unwrap_or((row, ""));
            let insert = format!(
                "insert into {staging} values (pg_current_xact_id(), {place}, null, {values})"
            );
            self.client.batch_execute(&insert).await?;
        }
        let merge = format!(
            "select forebay.merge({slot}, 'source', array[row('topic', 0, '{}', {}, {}, {}, 0,
                 '\\x00')::forebay.advance], array[row('{table}'::regclass, {})::forebay.staged])",
            self.token,
            self.next_offset,
            self.next_offset + 100,
            self.next_offset + 99,
            rows.len()
        );
        Ok(self.client.query_one(&merge, &[]).await?.get(0))
    }
}

/// The rejections of a merge's answer: (event, SQLSTATE, constraint).
pub fn rejections(answer: &Json) -> Result<Vec<(i64, String, Option<String>)>> {
    let rejected = answer["rejected"].as_array().context("rejected")?;
    rejected
        .iter()
        .map(|rejection| {
            let text = |field: &str| rejection[field].as_str().map(str::to_owned);
            Ok((
                rejection["event"].as_i64().context("event")?,
                text("sqlstate").context("sqlstate")?,
                text("constraint"),
            ))
        })
        .collect()
}

/// The SQLSTATE of an error, as text.
pub fn sqlstate(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}
