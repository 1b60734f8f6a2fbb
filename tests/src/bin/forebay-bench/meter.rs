//! What a system takes.

use std::time::Instant;

use anyhow::Result;
use forebay_tests::{Database, memory};
use tokio_postgres::types::PgLsn;

use crate::{
    measure,
    results::Measurement,
    servers::Servers,
    system::{Client, System},
};

/// What a system was given.
#[derive(Clone, Copy)]
pub struct Work {
    pub events: u64,
    /// Rows, or datasets.
    pub rows: u64,
}

/// Runs from a system's start until its last commit.
pub struct Meter<'a> {
    database: &'a Database,
    postmaster: Option<u32>,
    lsn: PgLsn,
    server_cpu: Option<f64>,
    start: Instant,
}

impl<'a> Meter<'a> {
    /// Begins after a checkpoint, so that nothing of what was before is written meanwhile.
    pub async fn start(servers: &Servers, database: &'a Database) -> Result<Self> {
        let sql = database.primary();
        sql.batch_execute("checkpoint").await?;
        let lsn = sql.query_one("select pg_current_wal_lsn()", &[]).await?.get(0);
        let postmaster = servers.postmaster();
        let server_cpu = postmaster.map(measure::server_cpu_seconds).transpose()?;
        Ok(Self { database, postmaster, lsn, server_cpu, start: Instant::now() })
    }

    /// Ends when a client has done its work. Its own clock counts, if it has one.
    pub async fn stop(self, system: System, work: Work, client: Client) -> Result<Measurement> {
        let elapsed = self.start.elapsed().as_secs_f64();
        let seconds = client.seconds().unwrap_or(elapsed);
        let rows = work.rows as f64;
        let client_cpu_seconds = measure::cpu_seconds(client.id())?;
        let server_cpu_after = self.postmaster.map(measure::server_cpu_seconds).transpose()?;
        let server_cpu =
            server_cpu_after.zip(self.server_cpu).map(|(after, before)| after - before);
        let steps = client.steps().await?;
        let deadlocks = client.deadlocks().await?;
        let peak_rss_mib = memory::peak_mib(client.id())?;
        drop(client);
        let wal = "select pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::int8";
        let wal_bytes: i64 = self.database.primary().query_one(wal, &[&self.lsn]).await?.get(0);
        Ok(Measurement {
            system,
            rows: work.rows,
            events: work.events,
            seconds,
            seconds_of_runs: vec![seconds],
            rows_per_second: rows / seconds,
            events_per_second: work.events as f64 / seconds,
            peak_rss_mib,
            client_cpu_seconds_per_million_rows: client_cpu_seconds / rows * 1e6,
            server_cpu_seconds_per_million_rows: server_cpu.map(|seconds| seconds / rows * 1e6),
            wal_bytes_per_row: wal_bytes as f64 / rows,
            steps,
            deadlocks,
        })
    }
}
