//! The benchmark: rows per second from Kafka into a table, beside PostgreSQL's own ways.
#![forbid(unsafe_code)]

mod client;
mod measure;
mod plain;
mod report;
mod system;

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use forebay_tests::{Broker, Database, Postgres, Topic, scratch::Scratch};

use crate::system::{Bench, System};

/// Fit for a load: no checkpoint falls into a measurement. All that makes a commit safe is on.
const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
];

/// The partitions of the topic.
const PARTITIONS: i32 = 4;

/// Rows per second from Kafka into a table, beside PostgreSQL's own ways.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    client: Option<Client>,
    /// Rows of the scenario.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=plain::MAX_ROWS))]
    rows: u64,
    /// Only these systems.
    #[arg(long, value_enum, value_delimiter = ',')]
    systems: Vec<System>,
}

/// What the benchmark starts as processes of their own, to measure them.
#[derive(Subcommand)]
enum Client {
    /// Binary COPY into the table.
    #[command(hide = true)]
    Copy { dsn: String, rows: u64 },
    /// COPY into an unlogged table, then insert from there, batch by batch.
    #[command(hide = true)]
    BulkSql { dsn: String, rows: u64, batch_rows: u64 },
}

// One thread: the servers die with the thread that starts them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.client {
        None => run(&arguments).await,
        Some(Client::Copy { dsn, rows }) => client::copy(&dsn, rows).await,
        Some(Client::BulkSql { dsn, rows, batch_rows }) => {
            client::bulk_sql(&dsn, rows, batch_rows).await
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
    let rows = arguments.rows;
    println!(
        "plain: {rows} flat JSON events in random order, key (sensor, ts), {PARTITIONS} partitions"
    );
    let scratch = Scratch::make()?;
    let (primary, broker) = tokio::try_join!(
        Postgres::primary(scratch.path(), "primary", SETTINGS),
        Broker::create(scratch.path(), "kafka", &[]),
    )?;
    let kafka = broker.bootstrap_servers();
    let topic = Topic::create_with(&kafka, "plain", PARTITIONS, &[]).await?;
    let (servers, name) = (kafka.clone(), topic.name().to_owned());
    tokio::task::spawn_blocking(move || plain::preload(&servers, &name, rows)).await??;

    let database = Database::create_on(primary.endpoint(), None, "bench").await?;
    let postmaster = primary.process_id().context("the primary runs")?;
    let bench =
        Bench { rows, database: &database, postmaster, kafka, topic, scratch: scratch.path() };
    let chosen = if arguments.systems.is_empty() { System::ALL } else { &arguments.systems };
    report::print_header();
    let mut results = Vec::new();
    for system in chosen {
        let result = bench.measure(*system).await?;
        report::print(&result);
        results.push(result);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository's root")?;
    let file = report::write(root, "plain", &results)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}
