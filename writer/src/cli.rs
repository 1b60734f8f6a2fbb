//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
pub struct ConfigArgument {
    /// The configuration file (TOML)
    #[arg(long, env = "FOREBAY_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
}
