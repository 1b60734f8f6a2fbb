//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use jiff::{SignedDuration, Timestamp};

use crate::command_error::CommandError;
use crate::config::{Dsn, DsnProblem};
use crate::dead_letters::Reference;

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
    /// Show how far broker, primary and replicas are
    Status(StatusArguments),
    /// Show rejected events
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Let a stopped partition go on, where a person says
    Resume(ResumeArguments),
    /// Look at a Butler repository, and make its tables targets
    #[command(subcommand)]
    Butler(ButlerCommand),
}

/// What to do with a Butler repository.
#[derive(Debug, Subcommand)]
pub enum ButlerCommand {
    /// Say its versions, whether they are supported, and which of its tables are targets
    Check(ButlerArguments),
    /// Make its tables targets; to be done as their owner
    Register(ButlerArguments),
}

/// Which Butler repository.
#[derive(Debug, clap::Args)]
pub struct ButlerArguments {
    /// Who looks: for `register`, who owns the tables.
    #[command(flatten)]
    pub admin: AdminArgument,
    /// The schema that it is in
    #[arg(long, default_value = "public")]
    pub schema: String,
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

/// What `forebay status` is told.
#[derive(Debug, clap::Args)]
pub struct StatusArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Who looks at the primary; by default the writer's own role, which may not see dead letters.
    #[command(flatten)]
    pub admin: AdminArgument,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How a person who looks after the database logs in. It is no part of the configuration, since
/// the writer has no need of such rights.
#[derive(Debug, clap::Args)]
pub struct AdminArgument {
    /// Connection string of a member of forebay_admin (better by variable or file than here, where
    /// others can read it)
    #[arg(long, env = "FOREBAY_ADMIN_DSN", hide_env_values = true, value_name = "DSN")]
    dsn: Option<String>,
    /// A file with that connection string
    #[arg(long, env = "FOREBAY_ADMIN_DSN_FILE", value_name = "FILE", conflicts_with = "dsn")]
    dsn_file: Option<PathBuf>,
}

/// What to show of the rejected events.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List them, the newest first
    List(ListArguments),
    /// Show one with all that it has
    Show(ShowArguments),
}

/// What `forebay dead-letters list` is told.
#[derive(Debug, clap::Args)]
pub struct ListArguments {
    /// Who looks.
    #[command(flatten)]
    pub admin: AdminArgument,
    /// Only those of this source
    #[arg(long)]
    pub source: Option<String>,
    /// Only those of this topic
    #[arg(long)]
    pub topic: Option<String>,
    /// Only those of this partition
    #[arg(long)]
    pub partition: Option<i32>,
    /// Only those that this table refused (schema.table)
    #[arg(long)]
    pub target: Option<String>,
    /// Only those with this SQLSTATE
    #[arg(long)]
    pub sqlstate: Option<String>,
    /// Only those rejected since then: a time, or a time span such as 2h
    #[arg(long, value_parser = since, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// How many lines at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    pub limit: i64,
    /// Count them by reason
    #[arg(long)]
    pub summary: bool,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// What `forebay dead-letters show` is told.
#[derive(Debug, clap::Args)]
pub struct ShowArguments {
    /// Who looks.
    #[command(flatten)]
    pub admin: AdminArgument,
    /// Its id, or where the event stands: topic/partition/offset
    #[arg(value_name = "ID|TOPIC/PARTITION/OFFSET")]
    pub reference: Reference,
    /// Of this source, if several read the topic
    #[arg(long)]
    pub source: Option<String>,
    /// Write the payload alone, byte for byte
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

impl AdminArgument {
    /// The connection string, if one was given.
    ///
    /// # Errors
    /// If it is none, or its file can't be read.
    pub fn dsn(&self) -> Result<Option<Dsn>, CommandError> {
        let text = match (&self.dsn, &self.dsn_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
                CommandError::Usage(format!("read --dsn-file {}: {error}", path.display()))
            })?,
            (None, None) => return Ok(None),
        };
        let beside = self.dsn_file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        Dsn::parse(&text, beside).map(Some).map_err(|problems| {
            let said = |problem: &DsnProblem| format!("{}; {}", problem.message, problem.advice);
            let said: Vec<String> = problems.iter().map(said).collect();
            CommandError::Usage(format!("--dsn {}", said.join(" | ")))
        })
    }

    /// The connection string, which must have been given.
    ///
    /// # Errors
    /// As [`dsn`](Self::dsn), and if there is none.
    pub fn required_dsn(&self) -> Result<Dsn, CommandError> {
        self.dsn()?.ok_or_else(|| {
            CommandError::Usage(
                "which database? Give the connection string of a member of forebay_admin by \
                 FOREBAY_ADMIN_DSN, --dsn-file or --dsn"
                    .to_owned(),
            )
        })
    }
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span = humantime::parse_duration(text).ok().and_then(|span| {
        SignedDuration::try_from(span).ok().and_then(|span| Timestamp::now().checked_sub(span).ok())
    });
    span.ok_or_else(|| {
        "neither a time such as 2026-01-31T12:00:00Z nor a span such as 2h".to_owned()
    })
}
