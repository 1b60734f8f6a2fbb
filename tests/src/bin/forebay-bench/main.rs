//! The benchmark: rows per second from Kafka into a table, beside PostgreSQL's own ways.
#![forbid(unsafe_code)]

mod arrival;
mod backlog;
mod butler;
mod client;
mod comparison;
mod feed;
mod goal;
mod growth;
mod jdbc_sink;
mod latency;
mod measure;
mod meter;
mod plot;
mod preload;
mod report;
mod results;
mod row;
mod rows;
mod scenario;
mod stream;
mod system;
mod table;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use forebay_tests::{Broker, Database, Postgres, scratch::Scratch};
use tokio::time::timeout;

use crate::{
    comparison::Comparison, results::Results, scenario::Scenario, stream::Stream, system::System,
    table::Table,
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

/// Rows per second from Kafka into a table, beside PostgreSQL's own ways.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    client: Option<Client>,
    /// Rows of each scenario of rows.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=row::MAX_ROWS))]
    rows: u64,
    /// Visits of the scenario `butler`.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=500))]
    visits: u64,
    /// How often each system is measured; the median counts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=9))]
    runs: u32,
    /// Seconds of each load of the scenario `latency`.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Rows that the tables of the scenario `growth` have before.
    #[arg(long, value_delimiter = ',', default_value = "1000000,10000000,50000000")]
    sizes: Vec<u64>,
    /// Events of the scenario `backlog`.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=row::MAX_ROWS))]
    backlog: u64,
    /// How many minutes all of it may take.
    #[arg(long, default_value_t = 45)]
    minutes: u64,
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// Only these systems.
    #[arg(long, value_enum, value_delimiter = ',')]
    systems: Vec<System>,
}

impl Arguments {
    fn scenarios(&self) -> Vec<Scenario> {
        if !self.scenarios.is_empty() {
            return self.scenarios.clone();
        }
        Scenario::ALL.iter().copied().filter(|scenario| !scenario.takes_long()).collect()
    }

    fn systems(&self, scenario: Scenario) -> Vec<System> {
        let chosen = |system: &System| self.systems.is_empty() || self.systems.contains(system);
        scenario.systems().iter().copied().filter(chosen).collect()
    }
}

/// What the benchmark starts as processes of their own, to measure them.
#[derive(Subcommand)]
enum Client {
    /// Binary COPY into the table.
    #[command(hide = true)]
    Copy { dsn: String, stream: Stream, rows: u64 },
    /// Binary COPY of the rows that the table has before.
    #[command(hide = true)]
    Load { dsn: String, stream: Stream, rows: u64 },
    /// COPY into an unlogged table, then insert from there, batch by batch.
    #[command(hide = true)]
    BulkSql { dsn: String, stream: Stream, rows: u64 },
    /// The same for several tables, from files.
    #[command(hide = true)]
    BulkSqlOfFiles { dsn: String, directory: PathBuf },
    /// Binary COPY of the rows that a growing table has before.
    #[command(hide = true)]
    GrowthLoad { dsn: String, size: u64, batch: u64 },
    /// Binary COPY of a batch into it.
    #[command(hide = true)]
    GrowthCopy { dsn: String, size: u64, batch: u64 },
}

// One thread: the servers die with the thread that starts them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.client {
        None => run(&arguments).await,
        Some(client) => client.run().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forebay-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Client {
    async fn run(&self) -> Result<()> {
        match self {
            Self::Copy { dsn, stream, rows } => {
                client::copy(dsn, stream.table(), stream.rows(*rows)).await
            }
            Self::Load { dsn, stream, rows } => {
                client::copy(dsn, stream.table(), stream.rows_before(*rows)).await
            }
            Self::BulkSql { dsn, stream, rows } => client::bulk_sql(dsn, *stream, *rows).await,
            Self::BulkSqlOfFiles { dsn, directory } => {
                client::bulk_sql_of_files(dsn, directory).await
            }
            Self::GrowthLoad { dsn, size, batch } => {
                client::copy(dsn, Table::Plain, growth::rows_before(*size, *batch)).await
            }
            Self::GrowthCopy { dsn, size, batch } => {
                client::copy(dsn, Table::Plain, growth::batch(*size, *batch)).await
            }
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let mut all = Vec::new();
    let limit = Duration::from_secs(arguments.minutes * 60);
    let measured = timeout(limit, measure(arguments, &mut all)).await;
    goal::print(&all);
    measured.with_context(|| format!("not done within {} minutes", arguments.minutes))?
}

/// What all scenarios share.
struct Surroundings {
    scratch: Scratch,
    primary: Postgres,
    postmaster: u32,
    broker: Broker,
    /// With the extension.
    database: Database,
}

impl Surroundings {
    async fn start() -> Result<Self> {
        let scratch = Scratch::make()?;
        let (primary, broker) = tokio::try_join!(
            Postgres::primary(scratch.path(), "primary", SETTINGS),
            Broker::create(scratch.path(), "kafka", &[]),
        )?;
        let database = Database::create_on(primary.endpoint(), None, "bench").await?;
        let postmaster = primary.process_id().context("the primary runs")?;
        Ok(Self { scratch, primary, postmaster, broker, database })
    }

    fn kafka(&self) -> String {
        self.broker.bootstrap_servers()
    }
}

async fn measure(arguments: &Arguments, all: &mut Vec<Results>) -> Result<()> {
    let around = &Surroundings::start().await?;
    for scenario in arguments.scenarios() {
        let comparison = match scenario {
            Scenario::Rows(stream) => Comparison::of_rows(around, stream, arguments.rows).await?,
            Scenario::Butler => Comparison::of_butler(around, arguments.visits).await?,
            Scenario::Latency => {
                latency::run(around, arguments.rows, arguments.seconds).await?;
                continue;
            }
            Scenario::Growth => {
                growth::run(around, &arguments.sizes, arguments.rows).await?;
                continue;
            }
            Scenario::Backlog => {
                backlog::run(around, arguments.backlog).await?;
                continue;
            }
        };
        all.push(comparison.run(&arguments.systems(scenario), arguments.runs).await?);
    }
    Ok(())
}
