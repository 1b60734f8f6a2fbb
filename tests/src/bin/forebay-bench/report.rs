//! The figures, for people and for programs.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    Bench,
    plot::Plot,
    results::{Measurement, Results},
    scenario::Scenario,
    system::STEPS,
};

/// A file of figures: how they came about, and they themselves.
#[derive(Serialize)]
struct File<'a, T> {
    scenario: &'a str,
    description: &'a str,
    command: &'a str,
    /// Of the primary.
    settings: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    figures: T,
}

/// Prints the table of a scenario. `unit` is what its rows are.
pub fn print(results: &Results, unit: &str) {
    println!(
        "  {:<13} {:>8} {:>12} {:>9} {:>9} {:>12} {:>12} {:>8}",
        "system",
        "seconds",
        format!("{unit}/s"),
        "events/s",
        "peak RSS",
        "CPU s/M",
        "server CPU",
        "WAL B"
    );
    for measurement in &results.measurements {
        print_line(measurement);
    }
}

fn print_line(measurement: &Measurement) {
    let server_cpu = measurement.server_cpu_seconds_per_million_rows;
    println!(
        "  {:<13} {:>8.2} {:>12.0} {:>9.0} {:>5.0} MiB {:>12.2} {:>12} {:>8.0}",
        measurement.system.name(),
        measurement.seconds,
        measurement.rows_per_second,
        measurement.events_per_second,
        measurement.peak_rss_mib,
        measurement.client_cpu_seconds_per_million_rows,
        server_cpu.map_or("–".to_owned(), |seconds| format!("{seconds:.2}")),
        measurement.wal_bytes_per_row,
    );
    let place = |step: &String| STEPS.iter().position(|one| one == step);
    let mut steps: Vec<_> = measurement.steps.iter().collect();
    steps.sort_by_key(|(step, _)| place(step));
    if !steps.is_empty() {
        let words = steps.iter().map(|(step, seconds)| format!("{step} {seconds:.2} s"));
        let deadlocks = measurement.deadlocks.map(|deadlocks| format!("deadlocks {deadlocks}"));
        println!("    {}", words.chain(deadlocks).collect::<Vec<_>>().join(", "));
    }
}

/// Writes `SCENARIO.json` and `SCENARIO.svg`, and says so.
pub fn write(
    bench: &Bench<'_>,
    scenario: &Scenario,
    description: &str,
    figures: impl Serialize,
    plot: Plot,
) -> Result<()> {
    let command = &bench.arguments.command(scenario);
    let plot = Plot { command: command.clone(), ..plot };
    let settings = &bench.servers.settings;
    let file = File { scenario: &scenario.name, description, command, settings, figures };
    let directory = &bench.arguments.output;
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let [json, svg] =
        ["json", "svg"].map(|extension| directory.join(format!("{}.{extension}", scenario.name)));
    for (path, text) in [(&json, serde_json::to_string_pretty(&file)? + "\n"), (&svg, plot.svg())] {
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    println!("  written to {} and {}", json.display(), svg.display());
    Ok(())
}
