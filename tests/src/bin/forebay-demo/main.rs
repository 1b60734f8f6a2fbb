//! The demo: events of a real telescope's pipeline go through Kafka into a real Butler
//! repository, and are read from a replica.
#![forbid(unsafe_code)]

mod feed;
mod report;
mod view;

use std::{process::ExitCode, time::Instant};

use anyhow::{Context, Result};
use clap::Parser;
use forebay_tests::{
    Database, Stack, Topic, Writer, WriterConfig, butler_sample,
    supervisor::{Durability, Supervisor},
};
use tokio::signal::unix::{SignalKind, signal};

/// The name of the demo's source, and of its database.
const SOURCE: &str = "butler";

/// Two visits of 189 detectors, from Kafka into a Butler repository, read from a replica.
#[derive(Parser)]
struct Arguments {
    /// Leaves everything running until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Events produced per second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
}

// One thread: the servers die with the thread that starts them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = tokio::select! {
        ended = show(&arguments) => ended,
        stopped = stopped() => stopped,
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nforebay-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn show(arguments: &Arguments) -> Result<ExitCode> {
    let start = Instant::now();
    println!("Starting a PostgreSQL primary, a streaming replica and a Kafka broker.");
    let supervisor = Supervisor::start(Durability::Durable).await?;
    let stack = supervisor.stack();
    println!(
        "  ready after {:.1} s, in {}\n",
        start.elapsed().as_secs_f64(),
        stack.scratch().display()
    );

    println!("Making a Butler repository, with the extension and its tables as targets.");
    let database = repository(stack).await?;
    let topic = Topic::create_with(stack.kafka(), "pp-output", arguments.partitions, &[]).await?;
    let config = WriterConfig::new(stack, &database, SOURCE, &topic).butler("public");
    let mut writer = Writer::start(stack, config)?;
    writer.wait_until_ready().await?;
    println!("  the writer runs: its log is {}\n", writer.log_file().display());

    let events = butler_sample::events()?;
    let run = feed::run(stack, &database, &topic, &events, arguments.rate).await;
    let run = run.with_context(|| writer.output().tail())?;
    let complete = report::print(&database, &run).await?;

    if arguments.keep {
        report::how_to_look(&database, &topic, stack);
        println!("Everything stays up until Ctrl-C.");
        let status = writer.wait_for_end().await?;
        println!("The writer has ended: {status}.");
    } else {
        println!("To look around: `make demo KEEP=1` leaves it all running, and says how to");
        println!("connect with psql. Stopping.");
        writer.stop().await?;
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn repository(stack: &Stack) -> Result<Database> {
    let (primary, replica) = (stack.primary(), stack.replica());
    let mut database = Database::create_named(primary, Some(replica), SOURCE).await?;
    database.load(&butler_sample::schema()).await?;
    database.create_extension().await?;
    database.primary().batch_execute("select forebay.butler_add_targets('public')").await?;
    database.wait_until_replayed().await?;
    Ok(database)
}

/// Ends with Ctrl-C or SIGTERM, which stop everything by dropping it.
async fn stopped() -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    println!("\nStopping.");
    Ok(ExitCode::from(130))
}
