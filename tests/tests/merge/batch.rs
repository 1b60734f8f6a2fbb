//! A batch of several tables' rows driven by SQL, as a writer would.

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tokio_postgres::{Client, Error};

/// A claimed partition (`source`, `topic`, 0).
pub struct Source<'a> {
    client: &'a Client,
    token: String,
    next_offset: i64,
    says_ordered: bool,
}

/// How a transaction ends, if nothing raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Commit,
    Rollback,
}

impl End {
    /// Both ways.
    pub const BOTH: [Self; 2] = [Self::Commit, Self::Rollback];

    /// The statement that does it.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Rollback => "rollback",
        }
    }
}

/// Rows of one table, as SQL: a query of (event, row, op, given, values …).
pub struct Rows<'a> {
    pub table: &'a str,
    pub query: &'a str,
}

impl<'a> Source<'a> {
    pub async fn claim(client: &'a Client) -> Result<Self> {
        let sql = "select token::text, next_offset
                   from forebay.claim('source', 'topic', '{0}', '{0}', 'test')";
        let row = client.query_one(sql, &[]).await?;
        Ok(Self { client, token: row.get(0), next_offset: row.get(1), says_ordered: false })
    }

    /// Says from now on whether rows are staged in the order of their keys, right or wrong.
    pub fn say_ordered(&mut self, is_ordered: bool) {
        self.says_ordered = is_ordered;
    }

    /// Stages and merges in one transaction, which is rolled back if anything raises.
    pub async fn merge(&mut self, batch: &[Rows<'_>]) -> Result<Json, Error> {
        self.merge_to(End::Commit, batch).await
    }

    /// [`merge`](Self::merge), to another end.
    pub async fn merge_to(&mut self, end: End, batch: &[Rows<'_>]) -> Result<Json, Error> {
        self.client.batch_execute("begin").await?;
        let outcome = self.stage_and_merge(batch).await;
        let end = if outcome.is_ok() { end } else { End::Rollback };
        self.client.batch_execute(end.sql()).await?;
        if end == End::Commit {
            self.next_offset += 1;
        }
        outcome
    }

    async fn stage_and_merge(&self, batch: &[Rows<'_>]) -> Result<Json, Error> {
        let tables: Vec<_> =
            batch.iter().map(|rows| format!("'{}'::regclass", rows.table)).collect();
        let sql = format!(
            "select relation::text, staging::text, slot from forebay.stage(array[{}])",
            tables.join(", ")
        );
        let mut staged = Vec::new();
        let mut slot = 0;
        for row in self.client.query(&sql, &[]).await? {
            let (table, staging): (String, String) = (row.get(0), row.get(1));
            slot = row.get(2);
            let queries = batch.iter().filter(|rows| rows.table == table).map(|rows| rows.query);
            let mut count = 0;
            for query in queries {
                let insert = format!(
                    "insert into {staging} select pg_current_xact_id(), q.* from ({query}) q"
                );
                count += self.client.execute(&insert, &[]).await?;
            }
            staged.push(format!("row('{table}'::regclass, {count})::forebay.staged"));
        }
        let (from, next) = (self.next_offset, self.next_offset + 1);
        let sql = format!(
            "select forebay.merge({slot}, 'source', array[row('topic', 0, '{}', {from}, {next}, {from}, 0,
                 '\\x00')::forebay.advance], array[{}], ordered => array[{}]::regclass[])",
            self.token,
            staged.join(", "),
            if self.says_ordered { tables.join(", ") } else { String::new() }
        );
        Ok(self.client.query_one(&sql, &[]).await?.get(0))
    }
}

/// A rejection of a merge's answer: its event, SQLSTATE, target and constraint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rejection {
    pub event: i64,
    pub sqlstate: String,
    pub target: Option<String>,
    pub constraint: Option<String>,
}

impl Rejection {
    pub fn new(event: i64, sqlstate: &str, target: &str, constraint: Option<&str>) -> Self {
        Self {
            event,
            sqlstate: sqlstate.to_owned(),
            target: Some(target.to_owned()),
            constraint: constraint.map(str::to_owned),
        }
    }
}

/// The rejections of an answer, in order of the events.
pub fn rejections(answer: &Json) -> Result<Vec<Rejection>> {
    let rejected = answer["rejected"].as_array().context("rejected")?;
    rejected
        .iter()
        .map(|rejection| {
            let text = |field: &str| rejection[field].as_str().map(str::to_owned);
            Ok(Rejection {
                event: rejection["event"].as_i64().context("event")?,
                sqlstate: text("sqlstate").context("sqlstate")?,
                target: text("target"),
                constraint: text("constraint"),
            })
        })
        .collect()
}

/// The events and SQLSTATEs of an answer's rejections.
pub fn rejected(answer: &Json) -> Result<Vec<(i64, String)>> {
    Ok(rejections(answer)?.into_iter().map(|one| (one.event, one.sqlstate)).collect())
}

/// The SQLSTATE of an error, as text.
pub fn sqlstate(error: &Error) -> &str {
    error.code().map_or("none", |code| code.code())
}
