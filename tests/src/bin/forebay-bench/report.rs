//! The figures, for people and for programs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{scenario::Scenario, stream::Stream};

/// What one system did.
#[derive(Debug, Serialize)]
pub struct Measurement {
    pub system: String,
    /// Rows, or events, that it was given.
    pub rows: u64,
    pub seconds: f64,
    pub rows_per_second: f64,
    /// Of the client's process alone.
    pub peak_rss_mib: f64,
    /// Of the client and the database together.
    pub cpu_seconds: f64,
    pub wal_bytes: i64,
    /// Seconds per step, of those that say so.
    pub steps: BTreeMap<String, f64>,
}

/// What all systems did in one scenario.
#[derive(Debug)]
pub struct Results {
    pub scenario: Scenario,
    pub measurements: Vec<Measurement>,
}

impl Results {
    fn of(&self, system: &str) -> Option<&Measurement> {
        self.measurements.iter().find(|measurement| measurement.system == system)
    }
}

/// Says what comes. `unit` is what is counted; with the ratio of compression, where there is one.
pub fn print_header(
    scenario: &str,
    count: u64,
    unit: &str,
    description: &str,
    compression: Option<f64>,
) {
    let ratio = compression.map(|ratio| format!(", compressed {ratio:.0}:1")).unwrap_or_default();
    println!("\n{scenario}: {count} {unit}, {description}{ratio}");
    println!(
        "  {:<13} seconds {:>10}   peak RSS   CPU s        WAL",
        "system",
        format!("{unit}/s")
    );
}

pub fn print(measurement: &Measurement) {
    println!(
        "  {:<13} {:>7.2} {:>10.0} {:>6.0} MiB {:>7.1} {:>6.0} MiB",
        measurement.system,
        measurement.seconds,
        measurement.rows_per_second,
        measurement.peak_rss_mib,
        measurement.cpu_seconds,
        measurement.wal_bytes as f64 / 1_048_576.0,
    );
    if !measurement.steps.is_empty() {
        let steps =
            measurement.steps.iter().map(|(step, seconds)| format!("{step} {seconds:.1} s"));
        println!("    {}", steps.collect::<Vec<_>>().join(", "));
    }
}

/// Prints how the writer stands to the others in each scenario, and to the goals. Scenarios and
/// systems that were left out are left out here.
pub fn print_ratios(all: &[Results]) {
    println!();
    for results in all {
        for system in ["butler-client", "bulk-sql", "copy"] {
            let share = results.of(system).zip(results.of(WRITER));
            if let Some((other, writer)) = share {
                let share = writer.rows_per_second / other.rows_per_second;
                let goal = match (results.scenario, system) {
                    (Scenario::Rows(Stream::Plain), "bulk-sql") => {
                        goal(share >= LEAST_SHARE, "at least 0.8")
                    }
                    (Scenario::Butler, "butler-client") => {
                        goal(share >= LEAST_OF_BUTLER, "at least 5")
                    }
                    _ => String::new(),
                };
                println!("{}: {WRITER} has {share:.2} of {system}{goal}", results.scenario.name());
            }
        }
    }
    let seconds = |stream| {
        let results = all.iter().find(|results| results.scenario == Scenario::Rows(stream))?;
        results.of(WRITER).map(|writer| writer.seconds)
    };
    let plain = seconds(Stream::Plain);
    if let (Some(plain), Some(bad)) = (plain, seconds(Stream::BadEvents)) {
        let cost = bad / plain;
        let goal = goal(cost < MOST_COST, "less than 1.3");
        println!("{}: {WRITER} takes {cost:.2} of the time of plain{goal}", {
            Scenario::Rows(Stream::BadEvents).name()
        });
    }
    let writers = all.iter().filter_map(|results| results.of(WRITER));
    if let Some(most) = writers.map(|writer| writer.peak_rss_mib).reduce(f64::max) {
        let goal = goal(most < MOST_MEMORY_MIB, "less than 64");
        println!("memory: {WRITER} takes {most:.0} MiB at most{goal}");
    }
}

/// The system that the goals are for.
const WRITER: &str = "forebay-1";

const LEAST_SHARE: f64 = 0.8;
const LEAST_OF_BUTLER: f64 = 5.0;
const MOST_COST: f64 = 1.3;
const MOST_MEMORY_MIB: f64 = 64.0;

fn goal(reached: bool, words: &str) -> String {
    format!(" (goal: {words}; {})", if reached { "reached" } else { "missed" })
}

/// Writes `target/bench/<scenario>.json` under the repository's root.
pub fn write(root: &Path, results: &Results) -> Result<PathBuf> {
    let directory = root.join("target/bench");
    fs::create_dir_all(&directory)?;
    let file = directory.join(format!("{}.json", results.scenario.name()));
    fs::write(&file, serde_json::to_string_pretty(&results.measurements)? + "\n")
        .with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}
