//! Holding a writer up at a known place of the database, without touching the writer.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::{Database, wait};

/// The advisory lock that merges take a share of, in databases with a [`Gate::in_merge`].
const MERGE_LOCK: i64 = 0x6f72_6562;

/// A session that holds what a writer's session needs next. It opens when this value goes.
pub struct Gate {
    client: Client,
    process_id: i32,
}

impl Gate {
    /// Holds up whoever stages for this table: no batch gets further than taking its slot.
    ///
    /// # Errors
    ///
    /// If the table can't be locked.
    pub async fn before_stage(database: &Database, table: &str) -> Result<Self> {
        Self::close(database, &format!("lock table {table} in access exclusive mode")).await
    }

    /// Holds up whoever merges into a table where [`install`](Self::install) has made the gate:
    /// progress is moved, and not committed. Also a backend whose setting `forebay.gate` names the
    /// point that it comes to.
    ///
    /// # Errors
    ///
    /// If the lock can't be taken.
    pub async fn in_merge(database: &Database) -> Result<Self> {
        Self::close(database, &format!("select pg_advisory_xact_lock({MERGE_LOCK})")).await
    }

    /// Makes a trigger by which merges into this table wait for [`in_merge`](Self::in_merge).
    ///
    /// # Errors
    ///
    /// If the trigger can't be made.
    pub async fn install(database: &Database, table: &str) -> Result<()> {
        let sql = format!(
            "create function gate() returns trigger language plpgsql as \
                 $$begin perform pg_advisory_xact_lock_shared({MERGE_LOCK}); return null; end$$; \
             create trigger gate before insert on {table} \
                 for each statement execute function gate()"
        );
        database.primary().batch_execute(&sql).await.context("make the gate")
    }

    async fn close(database: &Database, lock: &str) -> Result<Self> {
        let client = database.connect_primary().await?;
        let process_id = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
        client.batch_execute(&format!("begin; {lock}")).await.context("close the gate")?;
        Ok(Self { client, process_id })
    }

    /// Waits until a session stands at the gate, and answers its backend's process id.
    ///
    /// # Errors
    ///
    /// If none comes in time.
    pub async fn wait_until_held(&self) -> Result<i32> {
        wait::until("a session at the gate", || self.held()).await
    }

    /// The process id of a backend that stands at the gate, if one does now.
    ///
    /// # Errors
    ///
    /// If the server can't say.
    pub async fn held(&self) -> Result<Option<i32>> {
        let sql = "select pid from pg_stat_activity where $1 = any (pg_blocking_pids(pid)) limit 1";
        // In a transaction block, statistics are those of the first look.
        self.client.batch_execute("select pg_stat_clear_snapshot()").await?;
        let row = self.client.query_opt(sql, &[&self.process_id]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// If the session was ended meanwhile.
    pub async fn open(self) -> Result<()> {
        self.client.batch_execute("rollback").await.context("open the gate")
    }
}
