//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::resume::GoOn;

/// Streams Kafka events into PostgreSQL and merges them, exactly once.
#[derive(Debug, Parser)]
#[command(name = "forebay", version, about)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the writer until it is told to stop
    Run(ConfigArgument),
    /// Check the configuration against the live broker, primary and replicas
    Check(ConfigArgument),
    /// Let a stopped partition go on, where a person says
    Resume(ResumeArguments),
}

impl Command {
    /// Where the configuration is.
    pub fn config(&self) -> &Path {
        match self {
            Self::Run(argument) | Self::Check(argument) => &argument.config,
            Self::Resume(arguments) => &arguments.config.config,
        }
    }
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
pub struct ConfigArgument {
    /// The configuration file (TOML)
    #[arg(long, env = "FOREBAY_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
}

/// Which partition goes on, and where.
#[derive(Debug, clap::Args)]
pub struct ResumeArguments {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The topic
    #[arg(long)]
    pub topic: String,
    /// The partition
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: i32,
    /// Where it goes on: an offset, earliest, latest, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "WHERE", required_unless_present = "skip_unreadable")]
    pub from: Option<GoOn>,
    /// Keep what can't be read as dead letters without payload, and go on behind it
    #[arg(long, conflicts_with = "from")]
    pub skip_unreadable: bool,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}
