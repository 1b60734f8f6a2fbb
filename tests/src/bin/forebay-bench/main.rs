//! The benchmark: rows per second from Kafka into a table, beside PostgreSQL's own ways.
#![forbid(unsafe_code)]

mod arrival;
mod butler;
mod client;
mod jdbc_sink;
mod measure;
mod meter;
mod preload;
mod report;
mod row;
mod rows;
mod scenario;
mod stream;
mod system;
mod table;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use forebay_tests::{Broker, Database, Postgres, scratch::Scratch};
use tokio::time::timeout;

use crate::{
    report::{Measurement, Results},
    scenario::Scenario,
    stream::Stream,
    system::System,
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
    /// Rows of each scenario of rows.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=row::MAX_ROWS))]
    rows: u64,
    /// Visits of the scenario `butler`.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=500))]
    visits: u64,
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
    Copy { dsn: String, stream: Stream, rows: u64 },
    /// COPY into an unlogged table, then insert from there, batch by batch.
    #[command(hide = true)]
    BulkSql { dsn: String, stream: Stream, rows: u64, batch_rows: u64 },
    /// The same for several tables, from files.
    #[command(hide = true)]
    BulkSqlOfFiles { dsn: String, directory: PathBuf },
}

// One thread: the servers die with the thread that starts them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.client {
        None => run(&arguments).await,
        Some(Client::Copy { dsn, stream, rows }) => client::copy(&dsn, stream, rows).await,
        Some(Client::BulkSql { dsn, stream, rows, batch_rows }) => {
            client::bulk_sql(&dsn, stream, rows, batch_rows).await
        }
        Some(Client::BulkSqlOfFiles { dsn, directory }) => {
            client::bulk_sql_of_files(&dsn, &directory).await
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

/// A scenario that is ready to be measured.
enum Bench<'a> {
    Rows(rows::Bench<'a>),
    Butler(butler::Bench<'a>),
}

impl Bench<'_> {
    async fn measure(&self, system: System) -> Result<Measurement> {
        match self {
            Self::Rows(bench) => bench.measure(system).await,
            Self::Butler(bench) => bench.measure(system).await,
        }
    }
}

async fn measure(arguments: &Arguments, all: &mut Vec<Results>) -> Result<()> {
    let around = Surroundings::start().await?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository's root")?;
    for &scenario in arguments.scenarios() {
        let bench = match scenario {
            Scenario::Rows(stream) => {
                Bench::Rows(rows::Bench::prepare(&around, stream, arguments.rows).await?)
            }
            Scenario::Butler => {
                Bench::Butler(butler::Bench::prepare(&around, arguments.visits).await?)
            }
        };
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
