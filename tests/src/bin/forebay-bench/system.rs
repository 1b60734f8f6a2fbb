//! Who is measured.

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use forebay_tests::{
    Database, Topic, Writer, WriterConfig, account,
    metrics::Metrics,
    process::{self, Process},
};
use serde::{Deserialize, Serialize};
use tokio::time::interval;

use crate::{DSN, servers::Servers};

/// The writer's steps, and the parts of the merge; the first two of a batch run while the batch
/// before it is merged.
pub const STEPS: &[&str] = &[
    "start",
    "consume",
    "decode",
    "stage",
    "resolve",
    "merge",
    "merge_count",
    "merge_look",
    "merge_write",
    "dead_letters",
    "commit",
];

/// How often the writer's progress is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How long a writer may merge nothing before it is given up.
const STANDSTILL: Duration = Duration::from_secs(300);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    #[serde(rename = "forebay-1")]
    Forebay1,
    /// Forebay from Kafka, two workers.
    #[value(name = "forebay-2")]
    #[serde(rename = "forebay-2")]
    Forebay2,
}

impl System {
    /// As it is named on the command line, and in files.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Refuses systems that a scenario can't measure.
pub fn check(systems: &[System], can: &[System], why: &str) -> Result<()> {
    ensure!(!systems.is_empty(), "systems: there is none");
    for (place, system) in systems.iter().enumerate() {
        ensure!(can.contains(system), "systems: not {}: {why}", system.name());
        ensure!(!systems[..place].contains(system), "systems: {} comes twice", system.name());
    }
    Ok(())
}

/// A process that has done its work; it is killed when this value goes.
pub enum Client {
    /// One that may say how many seconds it took, and how many each step.
    Other { process: Process, seconds: Option<f64>, steps: BTreeMap<String, f64> },
    /// A writer.
    Forebay(Writer),
}

/// What a writer is given.
pub struct Assignment<'a> {
    pub servers: &'a Servers,
    pub database: &'a Database,
    pub topic: &'a Topic,
    pub workers: u8,
    /// Over what the harness sets.
    pub settings: &'a toml::Table,
}

impl Assignment<'_> {
    /// The writer's configuration and the name of its source.
    pub fn config(
        &self,
        form: impl FnOnce(WriterConfig) -> WriterConfig,
    ) -> (WriterConfig, String) {
        let source = self.servers.source();
        let config = WriterConfig::of(self.servers.kafka(), self.database, &source, self.topic)
            .set("workers.count", i64::from(self.workers));
        (laid_over(form(config), "", self.settings), source)
    }
}

/// A configuration with the values of a table set, section by section.
fn laid_over(config: WriterConfig, section: &str, settings: &toml::Table) -> WriterConfig {
    settings.iter().fold(config, |config, (name, value)| match value {
        toml::Value::Table(inner) => laid_over(config, &format!("{section}{name}."), inner),
        value => config.set(&format!("{section}{name}"), value.clone()),
    })
}

impl Client {
    /// Starts this same program with a subcommand, and waits until it is done.
    pub async fn own(servers: &Servers, dsn: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = account::own_command(env::current_exe()?);
        command.args(arguments).env(DSN, dsn);
        Self::start(servers, arguments.first().copied().unwrap_or_default(), command).await
    }

    /// Starts a program, and waits until it prints `done`, or that and the seconds.
    pub async fn start(servers: &Servers, name: &str, mut command: Command) -> Result<Self> {
        let log = servers.directory().join(format!("{name}.log"));
        let errors = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        command.stdout(Stdio::piped()).stderr(errors);
        let mut process = Process::start(name, command)?;
        let output = process.take_stdout().context("its output")?;
        let said = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let said = said.await??;
        let seconds = said
            .trim()
            .strip_prefix("done")
            .with_context(|| format!("{name} has failed; {}", process::log_tail(&log)))?;
        let seconds = match seconds.trim() {
            "" => None,
            seconds => Some(seconds.parse().with_context(|| format!("seconds of {name}"))?),
        };
        Ok(Self::Other { process, seconds, steps: BTreeMap::new() })
    }

    /// Starts a writer, and waits until it has merged so many events of its source.
    pub async fn forebay(
        assignment: &Assignment<'_>,
        form: impl FnOnce(WriterConfig) -> WriterConfig,
        events: u64,
    ) -> Result<Self> {
        let (config, source) = assignment.config(form);
        let mut writer = Writer::start_in(assignment.servers.directory(), config)?;
        let merged = wait_until_merged(assignment.database, &mut writer, &source, events).await;
        explained(merged, &mut writer).await?;
        Ok(Self::Forebay(writer))
    }

    /// The seconds of each step, if it has some: with a writer, all batches and workers together.
    pub async fn steps(&self) -> Result<BTreeMap<String, f64>> {
        let writer = match self {
            Self::Other { steps, .. } => return Ok(steps.clone()),
            Self::Forebay(writer) => writer,
        };
        let metrics = Metrics::of(writer).await?;
        let mut steps = BTreeMap::new();
        for name in STEPS {
            let seconds = match name.strip_prefix("merge_") {
                Some(part) => metrics.sum("forebay_merge_part_seconds_sum", &[("part", part)]),
                None => metrics.sum("forebay_step_seconds_sum", &[("step", name)]),
            };
            steps.extend(seconds.map(|seconds| ((*name).to_owned(), seconds)));
        }
        Ok(steps)
    }

    /// How often it has repeated a batch that was in a deadlock, if it says so.
    pub async fn deadlocks(&self) -> Result<Option<u64>> {
        let Self::Forebay(writer) = self else { return Ok(None) };
        let metrics = Metrics::of(writer).await?;
        let deadlocks = metrics.sum("forebay_retries_total", &[("sqlstate", "40P01")]);
        Ok(Some(deadlocks.unwrap_or(0.0) as u64))
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

/// An error with what the writer said last.
pub async fn explained<T>(result: Result<T>, writer: &mut Writer) -> Result<T> {
    match result {
        Ok(done) => Ok(done),
        Err(error) => Err(error.context(writer.last_words().await)),
    }
}

async fn wait_until_merged(
    database: &Database,
    writer: &mut Writer,
    source: &str,
    events: u64,
) -> Result<()> {
    let all = i64::try_from(events)?;
    let sql = "select coalesce(sum(next_offset), 0)::int8 from forebay.progress where source = $1";
    let progress = &database.primary().prepare(sql).await?;
    let (mut merged, mut since) = (0, Instant::now());
    let mut looks = interval(LOOK);
    while merged < all {
        looks.tick().await;
        if let Some(status) = writer.exit_status()? {
            bail!("the writer has ended: {status}");
        }
        let now: i64 = database.primary().query_one(progress, &[&source]).await?.get(0);
        if now > merged {
            (merged, since) = (now, Instant::now());
        }
        let waited = since.elapsed();
        ensure!(waited < STANDSTILL, "nothing is merged any more after {merged} of {all} events");
    }
    Ok(())
}
