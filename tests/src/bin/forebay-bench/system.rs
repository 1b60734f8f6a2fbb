//! Runs one system after the other against the same database, each into an empty table.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use forebay_tests::{
    Database, Topic, Writer, WriterConfig, account, endpoint::SUPERUSER, memory, metrics::Metrics,
    process::Process, wait,
};
use tokio_postgres::types::PgLsn;

use crate::{
    measure,
    report::{self, Measurement},
    row::TABLE,
    scenario::Scenario,
};

/// The writer's default, and so the others'.
const BATCH_ROWS: u64 = 20_000;

/// The writer's steps; the first two of a batch run while the batch before it is merged.
const STEPS: &[&str] = &["consume", "decode", "stage", "merge", "dead_letters", "commit"];

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Binary COPY into the table.
    Copy,
    /// COPY into an unlogged table, then `insert … select … on conflict`.
    BulkSql,
    /// Forebay from Kafka, one worker.
    #[value(name = "forebay-1")]
    Forebay1,
    /// Forebay from Kafka, two workers.
    #[value(name = "forebay-2")]
    Forebay2,
}

impl System {
    /// In the order of the report.
    pub const ALL: &[Self] = &[Self::Copy, Self::BulkSql, Self::Forebay1, Self::Forebay2];

    /// Those that update a row that is there.
    pub const UPDATING: &[Self] = &[Self::BulkSql, Self::Forebay1, Self::Forebay2];

    /// Those that read from Kafka, and pass a bad event.
    pub const FROM_KAFKA: &[Self] = &[Self::Forebay1, Self::Forebay2];
}

/// What all systems of a scenario are measured with.
pub struct Bench<'a> {
    pub scenario: Scenario,
    pub rows: u64,
    pub database: &'a Database,
    pub postmaster: u32,
    pub kafka: String,
    pub topic: Topic,
    pub scratch: &'a Path,
}

impl Bench<'_> {
    /// From the start of the client's process until the last commit.
    pub async fn measure(&self, system: System) -> Result<Measurement> {
        let sql = self.database.primary();
        sql.batch_execute(&format!("drop table if exists sensor, staging; {TABLE}")).await?;
        if self.scenario == Scenario::Unchanged {
            drop(self.client("copy", &[]).await?);
        }
        if matches!(system, System::Forebay1 | System::Forebay2) {
            sql.batch_execute("select forebay.add_target('sensor')").await?;
        }
        // So much that nothing of the one before is written during this one.
        sql.batch_execute("checkpoint").await?;
        let lsn: PgLsn = sql.query_one("select pg_current_wal_lsn()", &[]).await?.get(0);
        let server_cpu = measure::server_cpu_seconds(self.postmaster)?;

        let start = Instant::now();
        let client = match system {
            System::Copy => self.client("copy", &[]).await?,
            System::BulkSql => self.client("bulk-sql", &[BATCH_ROWS.to_string()]).await?,
            System::Forebay1 => self.forebay(1).await?,
            System::Forebay2 => self.forebay(2).await?,
        };
        let seconds = start.elapsed().as_secs_f64();
        let steps = client.steps().await?;

        let cpu = measure::cpu_seconds(client.id())?
            + measure::server_cpu_seconds(self.postmaster)?
            - server_cpu;
        let peak_rss_mib = memory::peak_mib(client.id())?;
        drop(client);
        let wal = "select pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::int8";
        let wal_bytes = sql.query_one(wal, &[&lsn]).await?.get(0);
        let rows: i64 = sql.query_one("select count(*) from sensor", &[]).await?.get(0);
        ensure!(
            u64::try_from(rows)? == self.scenario.rows_left(self.rows),
            "the table has {rows} rows"
        );
        Ok(Measurement {
            system: system.to_possible_value().context("its name")?.get_name().to_owned(),
            rows: self.rows,
            seconds,
            rows_per_second: self.rows as f64 / seconds,
            peak_rss_mib,
            cpu_seconds: cpu,
            wal_bytes,
            steps,
        })
    }

    /// This same program as a client; waits until it is done.
    async fn client(&self, name: &str, arguments: &[String]) -> Result<Client> {
        let dsn = self.database.primary_endpoint().dsn(self.database.name(), SUPERUSER);
        let mut command = account::own_command(env::current_exe()?);
        command.arg(name).arg(dsn).arg(report::name(self.scenario));
        command.arg(self.rows.to_string()).args(arguments);
        command.stdout(Stdio::piped());
        let mut process = Process::start(name, command)?;
        let output = process.take_stdout().context("its output")?;
        let said = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        if said.await??.trim() != "done" {
            bail!("{name} has failed");
        }
        Ok(Client::Own(process))
    }

    /// A writer of so many workers; waits until all is merged.
    async fn forebay(&self, workers: u8) -> Result<Client> {
        let source = format!("{}-{workers}", report::name(self.scenario));
        let config = WriterConfig::of(&self.kafka, self.database, &source, &self.topic)
            .flat("public.sensor")
            .set("batch.max_rows", i64::try_from(BATCH_ROWS)?)
            .set("workers.count", i64::from(workers));
        let mut writer = Writer::start_in(self.scratch, config)?;
        let all = i64::try_from(self.rows)?;
        let sql = "select coalesce(sum(next_offset), 0)::int8 from forebay.progress \
                   where source = $1";
        let (progress, source) = (&self.database.primary().prepare(sql).await?, &source);
        let merged = wait::until_within(Duration::MAX, "the writer to merge all events", || {
            let ended = writer.exit_status();
            async move {
                if let Some(status) = ended? {
                    bail!("the writer has ended: {status}");
                }
                let merged: i64 =
                    self.database.primary().query_one(progress, &[source]).await?.get(0);
                Ok((merged == all).then_some(()))
            }
        })
        .await;
        merged.with_context(|| writer.output().tail())?;
        Ok(Client::Forebay(writer))
    }
}

/// A process that has done its work; it is killed when this value goes.
enum Client {
    Own(Process),
    Forebay(Writer),
}

impl Client {
    /// The seconds that the writer spent in each step, all batches and workers together; nothing for
    /// others.
    async fn steps(&self) -> Result<BTreeMap<String, f64>> {
        let Self::Forebay(writer) = self else { return Ok(BTreeMap::new()) };
        let metrics = Metrics::of(writer).await?;
        let seconds = |step: &&str| {
            let seconds = metrics.get("forebay_step_seconds_sum", &[("step", step)])?;
            Ok(((*step).to_owned(), seconds))
        };
        STEPS.iter().map(seconds).collect()
    }

    fn id(&self) -> u32 {
        match self {
            Self::Own(process) => process.id(),
            Self::Forebay(writer) => writer.id(),
        }
    }
}
