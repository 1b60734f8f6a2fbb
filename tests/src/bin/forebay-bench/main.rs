//! The benchmark: rows per second from Kafka into a table, beside PostgreSQL's own ways.
#![forbid(unsafe_code)]

mod client;
mod measure;
mod preload;
mod report;
mod row;
mod scenario;
mod system;

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use forebay_tests::{Broker, Database, Postgres, Topic, scratch::Scratch};
use tokio::time::timeout;

use crate::{
    report::Results,
    scenario::Scenario,
    system::{Bench, System},
};

/// Fit for a load: no checkpoint falls into a measurement. All that makes a commit safe is on.
const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
];

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Rows per second from Kafka into a table, beside PostgreSQL's own ways.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    client: Option<Client>,
    /// Rows of each scenario.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=row::MAX_ROWS))]
    rows: u64,
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// Only these systems.
    #[arg(long, value_enum, value_delimiter = ',')]
    systems: Vec<System>,
}

impl Arguments {
    fn scenarios(&self) -> &[Scenario] {
        if self.scenarios.is_empty() { Scenario::ALL } else { &self.scenarios }
    }
}

/// What the benchmark starts as processes of their own, to measure them.
#[derive(Subcommand)]
enum Client {
    /// Binary COPY into the table.
    #[command(hide = true)]
    Copy { dsn: String, scenario: Scenario, rows: u64 },
    /// COPY into an unlogged table, then insert from there, batch by batch.
    #[command(hide = true)]
    BulkSql { dsn: String, scenario: Scenario, rows: u64, batch_rows: u64 },
}

// One thread: the servers die with the thread that starts them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.client {
        None => run(&arguments).await,
        Some(Client::Copy { dsn, scenario, rows }) => client::copy(&dsn, scenario, rows).await,
        Some(Client::BulkSql { dsn, scenario, rows, batch_rows }) => {
            client::bulk_sql(&dsn, scenario, rows, batch_rows).await
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forebay-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let mut all = Vec::new();
    let measured = timeout(LIMIT, measure(arguments, &mut all)).await;
    report::print_ratios(&all);
    measured.with_context(|| format!("not done within {} minutes", LIMIT.as_secs() / 60))?
}

async fn measure(arguments: &Arguments, all: &mut Vec<Results>) -> Result<()> {
    let scratch = Scratch::make()?;
    let (primary, broker) = tokio::try_join!(
        Postgres::primary(scratch.path(), "primary", SETTINGS),
        Broker::create(scratch.path(), "kafka", &[]),
    )?;
    let database = Database::create_on(primary.endpoint(), None, "bench").await?;
    let postmaster = primary.process_id().context("the primary runs")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository's root")?;
    let rows = arguments.rows;
    for &scenario in arguments.scenarios() {
        let kafka = broker.bootstrap_servers();
        let topic = preloaded_topic(&kafka, scenario, rows).await?;
        let compression = (scenario.compression() != "none")
            .then(|| preload::compression_ratio(broker.directory(), &topic, scenario, rows));
        report::print_header(scenario, rows, compression.transpose()?);
        let scratch = scratch.path();
        let bench =
            Bench { scenario, rows, database: &database, postmaster, kafka, topic, scratch };
        all.push(Results { scenario, measurements: Vec::new() });
        for system in scenario.systems() {
            if arguments.systems.is_empty() || arguments.systems.contains(system) {
                let measurement = bench.measure(*system).await?;
                report::print(&measurement);
                all.last_mut().context("a scenario")?.measurements.push(measurement);
            }
        }
        let file = report::write(root, all.last().context("a scenario")?)?;
        println!("  written to {}", file.display());
    }
    Ok(())
}

async fn preloaded_topic(kafka: &str, scenario: Scenario, rows: u64) -> Result<Topic> {
    let topic =
        Topic::create_with(kafka, &report::name(scenario), scenario.partitions(), &[]).await?;
    let (servers, name) = (kafka.to_owned(), topic.name().to_owned());
    tokio::task::spawn_blocking(move || preload::preload(&servers, &name, scenario, rows))
        .await??;
    Ok(topic)
}
