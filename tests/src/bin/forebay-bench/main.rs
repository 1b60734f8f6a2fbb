//! The benchmark: rows per second from Kafka into a table, beside PostgreSQL's own ways and
//! others'.
#![forbid(unsafe_code)]

mod arguments;
mod arrival;
mod backlog;
mod butler;
mod client;
mod comparison;
mod feed;
mod file;
mod goal;
mod growth;
mod jdbc_sink;
mod latency;
mod measure;
mod meter;
mod plot;
mod preload;
mod producing;
mod report;
mod results;
mod row;
mod rows;
mod scenario;
mod servers;
mod stream;
mod system;
mod table;
mod value;

use std::{panic::AssertUnwindSafe, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Parser, Subcommand};
use futures_util::FutureExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::{
    arguments::Arguments,
    results::Results,
    scenario::{Content, Scenario},
    servers::Servers,
};

/// The variable in which the clients get their connection string: arguments can be seen by all.
const DSN: &str = "FOREBAY_BENCH_DSN";

/// What the benchmark starts as processes of their own, to measure them. They know the database
/// by [`DSN`], and the stream by its scenario.
#[derive(Subcommand)]
enum Client {
    /// Binary COPY into the table.
    #[command(hide = true)]
    Copy { scenario: String, rows: u64 },
    /// Binary COPY of the rows that the table has before.
    #[command(hide = true)]
    Load { scenario: String, rows: u64 },
    /// COPY into an unlogged table, then insert from there, batch by batch.
    #[command(hide = true)]
    BulkSql { scenario: String, rows: u64 },
    /// The same for several tables, from files.
    #[command(hide = true)]
    BulkSqlOfFiles { directory: PathBuf },
    /// Binary COPY of the rows that a growing table has before.
    #[command(hide = true)]
    GrowthLoad { scenario: String, size: u64, batch: u64 },
    /// Binary COPY of a batch into it.
    #[command(hide = true)]
    GrowthCopy { scenario: String, size: u64, batch: u64 },
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
        let dsn = &std::env::var(DSN).with_context(|| format!("${DSN}"))?;
        match self {
            Self::Copy { scenario, rows } => {
                let scenario = Scenario::load(scenario)?;
                client::copy(dsn, &scenario, scenario.stream()?.rows(*rows)).await
            }
            Self::Load { scenario, rows } => {
                let scenario = Scenario::load(scenario)?;
                client::copy(dsn, &scenario, scenario.stream()?.rows_before(*rows)).await
            }
            Self::BulkSql { scenario, rows } => {
                client::bulk_sql(dsn, &Scenario::load(scenario)?, *rows).await
            }
            Self::BulkSqlOfFiles { directory } => client::bulk_sql_of_files(dsn, directory).await,
            Self::GrowthLoad { scenario, size, batch } => {
                let rows = growth::rows_before(*size, *batch);
                client::copy(dsn, &Scenario::load(scenario)?, rows).await
            }
            Self::GrowthCopy { scenario, size, batch } => {
                let rows = growth::batch(*size, *batch);
                client::copy(dsn, &Scenario::load(scenario)?, rows).await
            }
        }
    }
}

/// What all scenarios share.
pub struct Bench<'a> {
    arguments: &'a Arguments,
    servers: &'a Servers,
}

async fn run(arguments: &Arguments) -> Result<()> {
    let scenarios = Scenario::load_all(&arguments.scenarios)?;
    ensure!(!scenarios.is_empty(), "no scenarios: name some by --scenarios");
    let named = arguments.servers()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let starting = async {
        match named {
            Some(named) => Servers::named(named).await,
            None => Servers::start().await,
        }
    };
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(stopped);
    let servers = tokio::select! {
        servers = starting => servers?,
        () = &mut stopped => bail!("stopped"),
    };
    let mut all = Vec::new();
    let limit = Duration::from_secs(arguments.minutes * 60);
    let measuring = measure(arguments, &servers, &scenarios, &mut all);
    // Whatever happens, what was made is removed.
    let measuring = timeout(limit, AssertUnwindSafe(measuring).catch_unwind());
    let measured = tokio::select! {
        measured = measuring => match measured {
            Ok(ended) => ended.unwrap_or_else(|_| Err(anyhow!("panicked"))),
            Err(_) => Err(anyhow!("not done within {} minutes", arguments.minutes)),
        },
        () = stopped => Err(anyhow!("stopped")),
    };
    let cleared = servers.clear().await.context("remove what was made");
    goal::print(&all);
    measured.and(cleared)
}

async fn measure(
    arguments: &Arguments,
    servers: &Servers,
    scenarios: &[Scenario],
    all: &mut Vec<Results>,
) -> Result<()> {
    let bench = &Bench { arguments, servers };
    for scenario in scenarios {
        if matches!(scenario.content, Content::Latency(_)) {
            ensure!(
                servers.has_replica(),
                "{} needs a replica: name one by REPLICA=, or leave the scenario out by SCENARIOS=",
                scenario.name
            );
        }
    }
    for scenario in scenarios {
        let measured = match &scenario.content {
            Content::Rows(settings) => rows::run(bench, scenario, settings, all).await,
            Content::Butler(settings) => butler::run(bench, scenario, settings, all).await,
            Content::Latency(settings) => latency::run(bench, scenario, settings).await,
            Content::Growth(settings) => growth::run(bench, scenario, settings).await,
            Content::Backlog(settings) => backlog::run(bench, scenario, settings).await,
        };
        measured.with_context(|| format!("scenario {}", scenario.name))?;
    }
    Ok(())
}
