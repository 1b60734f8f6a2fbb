//! Who is measured.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use forebay_tests::{
    Database, Writer, WriterConfig, account, metrics::Metrics, process::Process, wait,
};

/// The writer's default, and so the others'.
pub const BATCH_ROWS: u64 = 20_000;

/// The writer's steps; the first two of a batch run while the batch before it is merged.
const STEPS: &[&str] =
    &["consume", "decode", "stage", "resolve", "merge", "dead_letters", "commit"];

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Binary COPY into the table.
    Copy,
    /// COPY into an unlogged table, then `insert … select … on conflict`.
    BulkSql,
    /// Debezium's JDBC sink from Kafka.
    DebeziumJdbc,
    /// The official client, as the existing service uses it.
    ButlerClient,
    /// Forebay from Kafka, one worker.
    #[value(name = "forebay-1")]
    Forebay1,
    /// Forebay from Kafka, two workers.
    #[value(name = "forebay-2")]
    Forebay2,
}

impl System {
    /// Those that write rows into an empty table, in the order of the report.
    pub const OF_ROWS: &[Self] =
        &[Self::Copy, Self::BulkSql, Self::DebeziumJdbc, Self::Forebay1, Self::Forebay2];

    /// Those that update a row that is there.
    pub const UPDATING: &[Self] =
        &[Self::BulkSql, Self::DebeziumJdbc, Self::Forebay1, Self::Forebay2];

    /// Those that read from Kafka, and pass a bad event.
    pub const FROM_KAFKA: &[Self] = &[Self::Forebay1, Self::Forebay2];

    /// Those that write into a Butler repository. What the client has written is what bulk SQL writes
    /// again.
    pub const OF_BUTLER: &[Self] =
        &[Self::ButlerClient, Self::BulkSql, Self::Forebay1, Self::Forebay2];

    /// As it is named on the command line, and in files.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// A process that has done its work; it is killed when this value goes.
pub enum Client {
    /// One that may say how many seconds it took, and how many each step.
    Other { process: Process, seconds: Option<f64>, steps: BTreeMap<String, f64> },
    /// A writer.
    Forebay(Writer),
}

impl Client {
    /// Starts this same program with a subcommand, and waits until it is done.
    pub async fn own(arguments: &[&str]) -> Result<Self> {
        let mut command = account::own_command(env::current_exe()?);
        command.args(arguments);
        Self::start(arguments.first().copied().unwrap_or_default(), command).await
    }

    /// Starts a program, and waits until it prints `done`, or that and the seconds.
    pub async fn start(name: &str, mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        let mut process = Process::start(name, command)?;
        let output = process.take_stdout().context("its output")?;
        let said = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let said = said.await??;
        let seconds =
            said.trim().strip_prefix("done").with_context(|| format!("{name} has failed"))?;
        let seconds = match seconds.trim() {
            "" => None,
            seconds => Some(seconds.parse().with_context(|| format!("seconds of {name}"))?),
        };
        Ok(Self::Other { process, seconds, steps: BTreeMap::new() })
    }

    /// Starts a writer, and waits until it has merged so many events of this source.
    pub async fn forebay(
        scratch: &Path,
        config: WriterConfig,
        database: &Database,
        source: &str,
        events: u64,
    ) -> Result<Self> {
        let mut writer = Writer::start_in(scratch, config)?;
        let all = i64::try_from(events)?;
        let sql = "select coalesce(sum(next_offset), 0)::int8 from forebay.progress \
                   where source = $1";
        let progress = &database.primary().prepare(sql).await?;
        let merged = wait::until_within(Duration::MAX, "the writer to merge all events", || {
            let ended = writer.exit_status();
            async move {
                if let Some(status) = ended? {
                    bail!("the writer has ended: {status}");
                }
                let merged: i64 = database.primary().query_one(progress, &[&source]).await?.get(0);
                Ok((merged == all).then_some(()))
            }
        })
        .await;
        merged.with_context(|| writer.output().tail())?;
        Ok(Self::Forebay(writer))
    }

    /// The seconds of each step, if it has some: with a writer, all batches and workers together.
    pub async fn steps(&self) -> Result<BTreeMap<String, f64>> {
        let writer = match self {
            Self::Other { steps, .. } => return Ok(steps.clone()),
            Self::Forebay(writer) => writer,
        };
        let metrics = Metrics::of(writer).await?;
        let seconds = |step: &&str| {
            let seconds = metrics.get("forebay_step_seconds_sum", &[("step", step)])?;
            Ok(((*step).to_owned(), seconds))
        };
        STEPS.iter().map(seconds).collect()
    }

    /// The seconds that it took by its own clock, if it says so.
    pub fn seconds(&self) -> Option<f64> {
        match self {
            Self::Other { seconds, .. } => *seconds,
            Self::Forebay(_) => None,
        }
    }

    pub fn id(&self) -> u32 {
        match self {
            Self::Other { process, .. } => process.id(),
            Self::Forebay(writer) => writer.id(),
        }
    }
}
