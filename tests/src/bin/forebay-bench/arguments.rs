//! What a user asks for.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{ArgAction, Parser};
use forebay_tests::Endpoint;

use crate::{
    Client,
    row::MAX_ROWS,
    scenario::{Content, Scenario},
    servers::Named,
    system::System,
};

const ROWS: u64 = 1_000_000;
const RUNS: u32 = 3;

/// Rows per second from Kafka into a table, beside PostgreSQL's own ways and others'.
#[derive(Parser)]
pub struct Arguments {
    #[command(subcommand)]
    pub client: Option<Client>,
    /// Names of scenarios, or paths of their files.
    #[arg(long, value_delimiter = ',', action = ArgAction::Set)]
    pub scenarios: Vec<String>,
    /// Only these systems.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub systems: Vec<System>,
    /// Rows of a scenario of rows, of a batch of `growth`; events by which `latency` finds the
    /// capacity.
    #[arg(long, default_value_t = ROWS, value_parser = clap::value_parser!(u64).range(1..=MAX_ROWS))]
    pub rows: u64,
    /// How often each system is measured; the median counts.
    #[arg(long, default_value_t = RUNS, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub runs: u32,
    /// Visits of `butler`.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=500))]
    pub visits: Option<u64>,
    /// Rows that the tables of `growth` have before.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=MAX_ROWS))]
    pub sizes: Vec<u64>,
    /// Events of `backlog`.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_ROWS))]
    pub backlog: Option<u64>,
    /// How many minutes all of it may take.
    #[arg(long, default_value_t = 45)]
    pub minutes: u64,
    /// A folder for figures and plots.
    #[arg(long, default_value = "target/bench")]
    pub output: PathBuf,
    /// A primary, `host=… port=… user=… password=…`, with a superuser: instead of an own one.
    #[arg(long, env = "FOREBAY_BENCH_PRIMARY", hide_env_values = true, requires = "brokers")]
    primary: Option<String>,
    /// A physical replica of it.
    #[arg(long, env = "FOREBAY_BENCH_REPLICA", hide_env_values = true, requires = "primary")]
    replica: Option<String>,
    /// A broker, `host:port`: instead of an own one.
    #[arg(long, env = "FOREBAY_BENCH_BROKERS", requires = "primary")]
    brokers: Option<String>,
}

impl Arguments {
    /// The servers that are named, if they are.
    pub fn servers(&self) -> Result<Option<Named>> {
        let (Some(primary), Some(kafka)) = (&self.primary, &self.brokers) else { return Ok(None) };
        let primary = Endpoint::named(primary).context("PRIMARY")?;
        let replica =
            self.replica.as_deref().map(Endpoint::named).transpose().context("REPLICA")?;
        Ok(Some(Named { primary, replica, kafka: kafka.clone() }))
    }

    /// Those of a scenario's systems that are asked for.
    pub fn systems(&self, of: &[System]) -> Vec<System> {
        let chosen = |system: &System| self.systems.is_empty() || self.systems.contains(system);
        of.iter().copied().filter(chosen).collect()
    }

    /// The command that measures this scenario alone in the same way, without secrets.
    pub fn command(&self, scenario: &Scenario) -> String {
        let mut command = format!("make bench SCENARIOS={}", scenario.given);
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                command.push_str(&format!(" {name}={value}"));
            }
        };
        let rows = (self.rows != ROWS).then(|| self.rows.to_string());
        let runs = (self.runs != RUNS).then(|| self.runs.to_string());
        let systems = list(self.systems.iter().map(|system| system.name()));
        match scenario.content {
            Content::Rows(_) => {
                add("ROWS", rows);
                add("RUNS", runs);
                add("SYSTEMS", systems);
            }
            Content::Butler(_) => {
                add("VISITS", self.visits.map(|visits| visits.to_string()));
                add("RUNS", runs);
                add("SYSTEMS", systems);
            }
            Content::Latency(_) => add("ROWS", rows),
            Content::Growth(_) => {
                add("ROWS", rows);
                add("SIZES", list(self.sizes.iter().map(u64::to_string)));
            }
            Content::Backlog(_) => add("BACKLOG", self.backlog.map(|events| events.to_string())),
        }
        for (name, given) in
            [("PRIMARY", &self.primary), ("REPLICA", &self.replica), ("BROKERS", &self.brokers)]
        {
            add(name, given.as_ref().map(|_| "…".to_owned()));
        }
        command
    }
}

fn list(values: impl Iterator<Item = String>) -> Option<String> {
    Some(values.collect::<Vec<_>>().join(",")).filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Arguments;
    use crate::scenario::Scenario;

    fn command(scenario: &str, arguments: &[&str]) -> String {
        let arguments = [&["forebay-bench"], arguments].concat();
        let arguments = Arguments::try_parse_from(arguments).unwrap();
        arguments.command(&Scenario::load(scenario).unwrap())
    }

    #[test]
    fn a_command_says_what_was_not_the_default() {
        assert_eq!(
            command("plain", &["--scenarios", "plain,butler"]),
            "make bench SCENARIOS=plain"
        );
        let named = ["--rows=2", "--systems=copy,forebay-1", "--primary=secret", "--brokers=b:1"];
        assert_eq!(
            command("plain", &named),
            "make bench SCENARIOS=plain ROWS=2 SYSTEMS=copy,forebay-1 PRIMARY=… BROKERS=…"
        );
        let growth = "make bench SCENARIOS=growth ROWS=2 SIZES=1,2";
        assert_eq!(command("growth", &["--rows=2", "--sizes=1,2", "--runs=1"]), growth);
    }
}
