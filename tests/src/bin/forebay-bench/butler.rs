//! Visits of a camera into a Butler repository: the official client first, then the others, each
//! into a copy of the repository as it was before.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail, ensure};
use forebay_tests::{Database, Topic, WriterConfig, butler_client, endpoint::SUPERUSER, process};

use crate::{
    Surroundings,
    meter::{Meter, Work},
    preload,
    results::Measurement,
    system::{Client, System},
};

/// Of a visit.
const DETECTORS: u64 = 189;

/// Of a detector's event; each has one dataset.
const TYPES: u64 = 40;

/// Of the existing service's batches, in events.
const CLIENT_BATCH: u64 = 500;

/// Events of which bulk SQL makes a transaction: about as many as a writer's batch has.
const BULK_BATCH: u64 = 100;

const PARTITIONS: i32 = 4;

/// Of the writer: what README recommends where events are as large as these.
const MEMORY_BUDGET: &str = "128 MiB";

/// What the client's databases begin with.
const PREFIX: &str = "bench_butler";

/// The name of the source.
const SOURCE: &str = "butler";

/// What all systems are measured with.
pub struct Bench<'a> {
    around: &'a Surroundings,
    directory: PathBuf,
    topic: Topic,
    events: u64,
}

impl<'a> Bench<'a> {
    /// Makes the repository and the events of so many visits, and fills a topic with them.
    pub async fn prepare(around: &'a Surroundings, visits: u64) -> Result<Self> {
        let directory = around.scratch.path().join("butler");
        fs::create_dir(&directory).context("make a folder for the events")?;
        let topic = Topic::create_with(&around.kafka(), "butler", PARTITIONS, &[]).await?;
        let bench = Self { around, directory, topic, events: visits * DETECTORS };
        let (visits, detectors, types) =
            (visits.to_string(), DETECTORS.to_string(), TYPES.to_string());
        let options = ["--visits", &visits, "--detectors", &detectors, "--types", &types];
        bench.run("prepare", &options).await?;
        let events = fs::read_to_string(bench.directory.join("events.jsonl"))?;
        ensure!(events.lines().count() as u64 == bench.events, "other events than were asked for");
        let (servers, to) = (around.kafka(), bench.topic.name().to_owned());
        tokio::task::spawn_blocking(move || {
            preload::spread(&servers, &to, PARTITIONS, events.lines())
        })
        .await??;
        Ok(bench)
    }

    /// From the start of the client's process until the last commit; the official client is not
    /// charged with the start of its Python, nor with connecting.
    pub async fn measure(&self, system: System) -> Result<Measurement> {
        match system {
            System::ButlerClient => self.measure_client().await,
            System::BulkSql => self.measure_bulk_sql().await,
            System::Forebay1 => self.measure_forebay(system, 1).await,
            System::Forebay2 => self.measure_forebay(system, 2).await,
            System::Copy | System::DebeziumJdbc => bail!("can't write into a repository"),
        }
    }

    /// For people.
    pub fn description(&self) -> String {
        let (visits, datasets) = (self.events / DETECTORS, self.work().rows);
        format!(
            "{datasets} datasets of {visits} visits, {DETECTORS} detectors, {TYPES} dataset types"
        )
    }

    fn work(&self) -> Work {
        Work { events: self.events, rows: self.events * TYPES }
    }

    async fn measure_client(&self) -> Result<Measurement> {
        let batch = CLIENT_BATCH.to_string();
        let meter = Meter::start(&self.around.database, self.around.postmaster).await?;
        let command = self.program("apply", &["--batch", &batch])?;
        let client = Client::start("bench.py apply", command).await?;
        meter.stop(System::ButlerClient, self.work(), client).await
    }

    async fn measure_bulk_sql(&self) -> Result<Measurement> {
        let batch = BULK_BATCH.to_string();
        self.run("dump", &["--events", &batch]).await?;
        let database = self.copy("bulk_sql").await?;
        let dsn = database.primary_endpoint().dsn(database.name(), SUPERUSER);
        let rows = self.directory.join("rows");
        let rows = rows.to_str().context("the folder's name")?;
        let meter = Meter::start(&database, self.around.postmaster).await?;
        let client = Client::own(&["bulk-sql-of-files", &dsn, rows]).await?;
        self.stopped(meter, System::BulkSql, client, &database).await
    }

    async fn measure_forebay(&self, system: System, workers: u8) -> Result<Measurement> {
        let mut database = self.copy(&format!("forebay_{workers}")).await?;
        database.create_extension().await?;
        database.primary().batch_execute("select forebay.butler_add_targets()").await?;
        let config = WriterConfig::of(&self.around.kafka(), &database, SOURCE, &self.topic)
            .butler("public")
            .set("memory.budget", MEMORY_BUDGET)
            .set("workers.count", i64::from(workers));
        let meter = Meter::start(&database, self.around.postmaster).await?;
        let scratch = self.around.scratch.path();
        let client = Client::forebay(scratch, config, &database, SOURCE, self.events).await?;
        self.stopped(meter, system, client, &database).await
    }

    /// Stops the meter, and checks that all tables have as many rows as the client's.
    async fn stopped(
        &self,
        meter: Meter<'_>,
        system: System,
        client: Client,
        database: &Database,
    ) -> Result<Measurement> {
        let measurement = meter.stop(system, self.work(), client).await?;
        let client = self.around.primary.endpoint().connect(&format!("{PREFIX}_client")).await?;
        let (found, expected) = (counts(database.primary()).await?, counts(&client).await?);
        ensure!(found == expected, "found {found:?}, expected {expected:?}");
        Ok(measurement)
    }

    /// A copy of the repository as it was before the visits.
    async fn copy(&self, name: &str) -> Result<Database> {
        let (prefix, template) = (format!("{PREFIX}_{name}"), format!("{PREFIX}_template"));
        Database::copy_on(self.around.primary.endpoint(), &prefix, &template).await
    }

    fn program(&self, name: &str, options: &[&str]) -> Result<Command> {
        let mut program = butler_client::program("bench.py")?;
        program.arg(name).arg(self.around.primary.endpoint().dsn("postgres", SUPERUSER));
        program.arg(PREFIX).arg(&self.directory).args(options);
        Ok(program)
    }

    async fn run(&self, name: &str, options: &[&str]) -> Result<()> {
        let program = self.program(name, options)?;
        let run = || process::run("bench.py", program);
        tokio::task::spawn_blocking(run).await?.map(drop)
    }
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
