//! A merge and a session in the foreground, at the same time.

use std::future::Future;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Gate, Stack, wait};
use serde_json::Value as Json;
use tokio_postgres::{Client, Error};

pub use crate::batch::End;
use crate::batch::{Rows, Source};

/// A database in which a merge and a foreground session meet.
pub struct Meeting {
    database: Database,
    merging: Client,
    foreground: Client,
}

impl Meeting {
    /// A database with this schema. Merges are sets where they can be.
    pub async fn create(schema: &str) -> Result<Self> {
        let database = Database::create(&Stack::from_env()?, "meeting").await?;
        database.primary().batch_execute(schema).await?;
        let merging = database.connect_primary().await?;
        merging.batch_execute("load 'forebay'; set forebay.walk_below = 0").await?;
        let foreground = database.connect_primary().await?;
        Ok(Self { database, merging, foreground })
    }

    /// The test's own connection.
    pub fn client(&self) -> &Client {
        self.database.primary()
    }

    /// The name of a role that this test may create: no other has it.
    pub fn role(&self) -> String {
        format!("{}_role", self.database.name())
    }

    /// Changes a setting of the merge's session.
    pub async fn set(&self, setting: &str, value: &str) -> Result<()> {
        self.merging.batch_execute(&format!("set {setting} = '{value}'")).await?;
        Ok(())
    }

    /// Merges, holds the merge up at a point, does something in the foreground, and lets it go on.
    pub async fn merge_held_at(
        &self,
        point: &str,
        batch: &[Rows<'_>],
        foreground: &str,
    ) -> Result<Result<Json, Error>> {
        self.set("forebay.gate", point).await?;
        let gate = Gate::in_merge(&self.database).await?;
        let meanwhile = async {
            gate.wait_until_held().await.with_context(|| format!("{point} is not reached"))?;
            self.foreground.batch_execute(foreground).await?;
            gate.open().await
        };
        let answer = self.merge_while(batch, meanwhile).await;
        self.set("forebay.gate", "").await?;
        answer
    }

    /// Merges what waits at the gate until it raises.
    pub async fn merge_at_closed_gate(&self, batch: &[Rows<'_>]) -> Result<Result<Json, Error>> {
        let gate = Gate::in_merge(&self.database).await?;
        let answer = self.try_merge(batch).await;
        gate.open().await?;
        answer
    }

    /// Begins in the foreground and does something there, merges until that waits for it, and ends the
    /// foreground's transaction.
    pub async fn merge_behind(
        &self,
        beginning: &str,
        foreground: &str,
        batch: &[Rows<'_>],
        end: End,
    ) -> Result<Result<Json, Error>> {
        self.foreground.batch_execute(beginning).await?;
        self.foreground.batch_execute(foreground).await?;
        let meanwhile = async {
            self.wait_until_it_waits().await?;
            self.foreground.batch_execute(end.sql()).await?;
            Ok(())
        };
        self.merge_while(batch, meanwhile).await
    }

    /// Merges, holds the merge up at a point, starts something in the foreground that must wait for it,
    /// and lets the merge go on to its end. Answers what the foreground met.
    pub async fn merge_ahead(
        &self,
        point: &str,
        batch: &[Rows<'_>],
        end: End,
        foreground: &str,
    ) -> Result<Result<(), Error>> {
        self.set("forebay.gate", point).await?;
        let gate = Gate::in_merge(&self.database).await?;
        let meanwhile = async {
            let merging = gate.wait_until_held().await?;
            let release = async {
                wait::until("the foreground to wait for the merge", || self.waits_for(merging))
                    .await?;
                gate.open().await
            };
            let (outcome, released) =
                tokio::join!(self.foreground.batch_execute(foreground), release);
            released?;
            Ok::<_, anyhow::Error>(outcome)
        };
        let mut source = Source::claim(&self.merging).await?;
        let (answer, outcome) = tokio::join!(source.merge_to(end, batch), meanwhile);
        self.set("forebay.gate", "").await?;
        answer?;
        outcome
    }

    /// The foreground does one thing, the merge waits for it, and the foreground wants what the merge
    /// has. Of the two, the merge's session looks for deadlocks. Answers what the merge met.
    pub async fn deadlock(
        &self,
        first: &str,
        batch: &[Rows<'_>],
        second: &str,
    ) -> Result<Result<Json, Error>> {
        self.set("deadlock_timeout", "5s").await?;
        let begin = format!("set deadlock_timeout = '5min'; begin; {first}");
        self.foreground.batch_execute(&begin).await?;
        let meanwhile = async {
            self.wait_until_it_waits().await?;
            self.foreground.batch_execute(second).await?;
            self.foreground.batch_execute("commit").await?;
            Ok(())
        };
        self.merge_while(batch, meanwhile).await
    }

    /// Does something in the foreground.
    pub async fn foreground(&self, sql: &str) -> Result<(), Error> {
        self.foreground.batch_execute(sql).await
    }

    /// Does something in the merge's own session.
    pub async fn as_merging(&self, sql: &str) -> Result<(), Error> {
        self.merging.batch_execute(sql).await
    }

    /// Makes the server's statistics tell what the merge's session has done.
    pub async fn flush_statistics(&self) -> Result<(), Error> {
        self.merging.batch_execute("select pg_stat_force_next_flush()").await
    }

    /// Merges, with nobody in the way.
    pub async fn merge(&self, batch: &[Rows<'_>]) -> Result<Json> {
        Ok(self.try_merge(batch).await??)
    }

    /// [`merge`](Self::merge), and answers what was met.
    pub async fn try_merge(&self, batch: &[Rows<'_>]) -> Result<Result<Json, Error>> {
        self.merge_while(batch, async { Ok(()) }).await
    }

    async fn merge_while(
        &self,
        batch: &[Rows<'_>],
        meanwhile: impl Future<Output = Result<()>>,
    ) -> Result<Result<Json, Error>> {
        let mut source = Source::claim(&self.merging).await?;
        let (answer, meanwhile) = tokio::join!(source.merge(batch), meanwhile);
        meanwhile?;
        Ok(answer)
    }

    async fn wait_until_it_waits(&self) -> Result<()> {
        let pid = "select pg_backend_pid()";
        let foreground: i32 = self.foreground.query_one(pid, &[]).await?.get(0);
        wait::until("the merge to wait for the foreground", || self.waits_for(foreground)).await
    }

    /// Whether a session waits for this backend.
    async fn waits_for(&self, backend: i32) -> Result<Option<()>> {
        let sql = "select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))
                   and datname = current_database()";
        Ok(self.client().query_opt(sql, &[&backend]).await?.map(drop))
    }

    /// Checks a query that must find nothing.
    pub async fn ensure_none(&self, what: &str, query: &str) -> Result<()> {
        let found = self.client().query(query, &[]).await?.len();
        ensure!(found == 0, "{found} {what}");
        Ok(())
    }

    /// The rows of a table, as text, in order.
    pub async fn rows(&self, table: &str) -> Result<String> {
        let sql = format!(
            "select coalesce(string_agg(t::text, ' ' order by t::text), '') from {table} t"
        );
        Ok(self.client().query_one(&sql, &[]).await?.get(0))
    }
}
