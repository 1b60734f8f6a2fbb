//! Visits of a camera into a Butler repository: the official client first, then the others, each
//! into a copy of the repository as it was before.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use forebay_tests::{
    Database, Topic, WriterConfig, butler_client,
    process::{self, Process},
};
use serde::Deserialize;

use crate::{
    Bench,
    comparison::Comparison,
    goal::Goal,
    meter::{Meter, Work},
    plot::number,
    preload,
    results::{Measurement, Results},
    scenario::{Known, Scenario},
    system::{self, Assignment, Client, System},
};

/// Visits, if the user says nothing.
const VISITS: u64 = 8;

/// A file of the kind `butler`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(rename = "kind")]
    _kind: Known,
    description: String,
    systems: Vec<System>,
    partitions: i32,
    /// Of a visit; each has an event.
    detectors: u64,
    /// Of a detector's event; each has a dataset.
    dataset_types: u64,
    client_batch_events: u64,
    bulk_sql_batch_events: u64,
    /// More of the writer's configuration.
    #[serde(default)]
    writer: toml::Table,
    #[serde(default)]
    goals: Vec<Goal>,
}

impl Settings {
    pub fn check(&self) -> Result<()> {
        use System::{BulkSql, ButlerClient, Forebay1, Forebay2};
        let can = [ButlerClient, BulkSql, Forebay1, Forebay2];
        system::check(&self.systems, &can, "it can't write into a repository")?;
        for (name, number, most) in [
            ("partitions", u64::from(self.partitions.unsigned_abs()), 1000),
            ("detectors", self.detectors, 205),
            ("dataset_types", self.dataset_types, 1000),
            ("client_batch_events", self.client_batch_events, 100_000),
            ("bulk_sql_batch_events", self.bulk_sql_batch_events, 100_000),
        ] {
            ensure!((1..=most).contains(&number), "{name}: {number} is not in 1..={most}");
        }
        ensure!(self.partitions > 0, "partitions: {} is below 1", self.partitions);
        self.goals.iter().try_for_each(Goal::check)
    }
}

/// Makes the repository and the events, and measures all systems.
pub async fn run(
    bench: &Bench<'_>,
    scenario: &Scenario,
    settings: &Settings,
    all: &mut Vec<Results>,
) -> Result<()> {
    let systems = bench.arguments.systems(&settings.systems);
    let has_client = systems.contains(&System::ButlerClient);
    if let Some(bulk) = systems.iter().position(|system| *system == System::BulkSql) {
        ensure!(
            systems[..bulk].contains(&System::ButlerClient),
            "bulk-sql writes again what butler-client has written before: name that too, and first"
        );
    }
    let visits = bench.arguments.visits.unwrap_or(VISITS);
    let run = Run::prepare(bench, settings, visits, has_client).await?;
    let (datasets, description) = (run.work().rows, &settings.description);
    let Settings { detectors, dataset_types, .. } = settings;
    let comparison = Comparison {
        bench,
        scenario,
        description: format!(
            "{description}: {} datasets of {visits} visits, {detectors} detectors, \
             {dataset_types} dataset types",
            number(datasets as f64)
        ),
        unit: "datasets",
        systems: &settings.systems,
        goals: &settings.goals,
    };
    all.push(comparison.run(async |system| run.measure(system).await).await?);
    bench.servers.delete_topic(&run.topic).await
}

/// What all systems are measured with.
struct Run<'a> {
    bench: &'a Bench<'a>,
    settings: &'a Settings,
    /// What the client's databases begin with.
    prefix: String,
    directory: PathBuf,
    topic: Topic,
    events: u64,
    /// Whether the client has written, before others.
    has_client: bool,
}

impl<'a> Run<'a> {
    /// Makes the repository and the events of so many visits, and fills a topic with them.
    async fn prepare(
        bench: &'a Bench<'a>,
        settings: &'a Settings,
        visits: u64,
        has_client: bool,
    ) -> Result<Self> {
        let servers = bench.servers;
        let prefix = servers.name("butler");
        for name in ["template", "client"] {
            servers.remember_database(format!("{prefix}_{name}"));
        }
        let directory = servers.directory().join(&prefix);
        fs::create_dir(&directory).context("make a folder for the events")?;
        let numbers = [visits, settings.detectors, settings.dataset_types].map(|n| n.to_string());
        let [visits_text, detectors, types] = &numbers;
        let options = ["--visits", visits_text, "--detectors", detectors, "--types", types];
        run_program(bench, &prefix, &directory, "prepare", &options).await?;
        let text = fs::read_to_string(directory.join("events.jsonl"))?;
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let events = visits * settings.detectors;
        ensure!(lines.len() as u64 == events, "other events than were asked for");
        let topic = preload::spread(servers, settings.partitions, lines.into_iter()).await?;
        Ok(Self { bench, settings, prefix, directory, topic, events, has_client })
    }

    /// From the start of the client's process until the last commit; the official client is not
    /// charged with the start of its Python, nor with connecting.
    async fn measure(&self, system: System) -> Result<Measurement> {
        match system {
            System::ButlerClient => self.measure_client().await,
            System::BulkSql => self.measure_bulk_sql().await,
            System::Forebay1 => self.measure_forebay(system, 1).await,
            System::Forebay2 => self.measure_forebay(system, 2).await,
            System::Copy | System::DebeziumJdbc => bail!("can't write into a repository"),
        }
    }

    fn work(&self) -> Work {
        Work { events: self.events, rows: self.events * self.settings.dataset_types }
    }

    async fn measure_client(&self) -> Result<Measurement> {
        let servers = self.bench.servers;
        let batch = self.settings.client_batch_events.to_string();
        let options = ["--batch", &batch];
        let command = program(self.bench, &self.prefix, &self.directory, "apply", &options)?;
        // Only to have the clock and the log position of the server.
        let database = servers.database(None).await?;
        let meter = Meter::start(servers, &database).await?;
        let client = Client::start(servers, "bench.py apply", command).await?;
        let measurement = meter.stop(System::ButlerClient, self.work(), client).await?;
        servers.drop_database(database).await?;
        Ok(measurement)
    }

    async fn measure_bulk_sql(&self) -> Result<Measurement> {
        let batch = self.settings.bulk_sql_batch_events.to_string();
        run_program(self.bench, &self.prefix, &self.directory, "dump", &["--events", &batch])
            .await?;
        let servers = self.bench.servers;
        let database = self.copy().await?;
        let dsn = database.primary_endpoint().superuser_dsn(database.name());
        let rows = self.directory.join("rows");
        let rows = rows.to_str().context("the folder's name")?;
        let meter = Meter::start(servers, &database).await?;
        let client = Client::own(servers, &dsn, &["bulk-sql-of-files", rows]).await?;
        let measurement = meter.stop(System::BulkSql, self.work(), client).await?;
        self.check(database).await?;
        Ok(measurement)
    }

    async fn measure_forebay(&self, system: System, workers: u8) -> Result<Measurement> {
        let servers = self.bench.servers;
        let mut database = self.copy().await?;
        database.create_extension().await?;
        database.primary().batch_execute("select forebay.butler_add_targets()").await?;
        let assignment = Assignment {
            servers,
            database: &database,
            topic: &self.topic,
            workers,
            settings: &self.settings.writer,
        };
        let meter = Meter::start(servers, &database).await?;
        let form = |config: WriterConfig| config.butler("public");
        let client = Client::forebay(&assignment, form, self.events).await?;
        let measurement = meter.stop(system, self.work(), client).await?;
        self.check(database).await?;
        Ok(measurement)
    }

    /// Checks that all datasets are there, and that all tables have as many rows as the client's,
    /// if it has written; and drops the database.
    async fn check(&self, database: Database) -> Result<()> {
        let servers = self.bench.servers;
        let found = counts(database.primary()).await?;
        if self.has_client {
            let client = servers.primary().connect(&format!("{}_client", self.prefix)).await?;
            let expected = counts(&client).await?;
            ensure!(found == expected, "found {found:?}, expected {expected:?}");
        }
        let datasets = i64::try_from(self.work().rows)?;
        let all = ("dataset".to_owned(), datasets);
        ensure!(found.contains(&all), "found {found:?}, and not {datasets} datasets");
        servers.drop_database(database).await
    }

    /// A copy of the repository as it was before the visits.
    async fn copy(&self) -> Result<Database> {
        self.bench.servers.copy_of(&format!("{}_template", self.prefix)).await
    }
}

/// A command of the client's program. It gets the password as libpq does, where others don't see
/// it.
fn program(
    bench: &Bench<'_>,
    prefix: &str,
    directory: &Path,
    name: &str,
    options: &[&str],
) -> Result<Command> {
    let primary = bench.servers.primary();
    let (host, port, user) = (primary.host(), primary.port, primary.user());
    let mut program = butler_client::program("bench.py")?;
    program.arg(name).arg(format!("host={host} port={port} user={user}"));
    program.arg(prefix).arg(directory).args(options);
    program.envs(primary.password().map(|password| ("PGPASSWORD", password)));
    Ok(program)
}

async fn run_program(
    bench: &Bench<'_>,
    prefix: &str,
    directory: &Path,
    name: &str,
    options: &[&str],
) -> Result<()> {
    let program = program(bench, prefix, directory, name, options)?;
    let log = directory.join(format!("{name}.log"));
    let mut process = Process::start_logged("bench.py", program, &log)?;
    let status = process.wait_for_exit(Duration::MAX).await?;
    ensure!(status.success(), "bench.py {name}: {status}; {}", process::log_tail(&log));
    Ok(())
}

async fn counts(client: &tokio_postgres::Client) -> Result<Vec<(String, i64)>> {
    let tables = "select c.relname::text from pg_class c where c.relkind = 'r' \
                  and c.relnamespace = 'public'::regnamespace order by 1";
    let mut counts = Vec::new();
    for table in client.query(tables, &[]).await? {
        let table: String = table.get(0);
        let sql = format!("select count(*) from public.\"{table}\"");
        counts.push((table, client.query_one(&sql, &[]).await?.get(0)));
    }
    Ok(counts)
}
