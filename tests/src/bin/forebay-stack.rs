//! `forebay-stack run -- COMMAND`: a primary, a replica and a broker for as long as a command
//! runs.
#![forbid(unsafe_code)]

use std::{
    process::{Command, ExitCode, ExitStatus},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use forebay_tests::{
    account,
    stack::variable,
    supervisor::{Durability, Supervisor},
};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// A PostgreSQL primary, a replica of it and a Kafka broker, for as long as a command runs.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Starts the stack, runs the command with its addresses in the environment, stops it all.
    Run {
        /// With fsync and full page writes, as in production.
        #[arg(long)]
        durable: bool,
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

// One thread: the servers die with the thread that starts them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Action::Run { durable, command } = Arguments::parse().action;
    let durability = if durable { Durability::Durable } else { Durability::ThrowAway };
    match run(durability, &command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("forebay-stack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(durability: Durability, command: &[String]) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;

    let work = async {
        let start = Instant::now();
        let supervisor = Supervisor::start(durability).await?;
        eprintln!("forebay-stack: ready after {:.1} s", start.elapsed().as_secs_f64());
        supervise(&supervisor, command).await
    };
    tokio::select! {
        code = work => code,
        _ = terminate.recv() => Ok(ended_by(Signal::SIGTERM)),
        _ = interrupt.recv() => Ok(ended_by(Signal::SIGINT)),
        _ = hang_up.recv() => Ok(ended_by(Signal::SIGHUP)),
    }
}

/// Runs the command in the harness's own process group: it may use the terminal, and a Ctrl-C
/// reaches it.
async fn supervise(supervisor: &Supervisor, command: &[String]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command")?;
    let stack = supervisor.stack();
    let mut child: Command = account::own_command(program);
    child
        .args(arguments)
        .env(variable::PRIMARY, stack.primary().port.to_string())
        .env(variable::REPLICA, stack.replica().port.to_string())
        .env(variable::KAFKA, stack.kafka())
        .env(variable::SCRATCH, stack.scratch());
    let mut child = tokio::process::Command::from(child)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let status = child.wait().await.with_context(|| format!("wait for {program}"))?;
    Ok(code(status))
}

fn code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn ended_by(signal: Signal) -> ExitCode {
    eprintln!("forebay-stack: {signal}: stopping");
    u8::try_from(128 + signal as i32).map_or(ExitCode::FAILURE, ExitCode::from)
}
