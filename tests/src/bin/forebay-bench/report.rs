//! The figures, for people and for programs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::results::{Measurement, Results};

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
    println!(
        "  {:<13} {:>8.2} {:>12.0} {:>9.0} {:>5.0} MiB {:>12.2} {:>12.2} {:>8.0}",
        measurement.system,
        measurement.seconds,
        measurement.rows_per_second,
        measurement.events_per_second,
        measurement.peak_rss_mib,
        measurement.client_cpu_seconds_per_million_rows,
        measurement.server_cpu_seconds_per_million_rows,
        measurement.wal_bytes_per_row,
    );
    if !measurement.steps.is_empty() {
        let steps =
            measurement.steps.iter().map(|(step, seconds)| format!("{step} {seconds:.1} s"));
        println!("    {}", steps.collect::<Vec<_>>().join(", "));
    }
}

/// The folder of all that is written.
pub fn directory() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository's root")?;
    let directory = root.join("target/bench");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Writes `target/bench/NAME.json` and `NAME.svg`, and says so.
pub fn write(name: &str, figures: &impl Serialize, plot: &str) -> Result<()> {
    let file = directory()?.join(name);
    let (json, svg) = (file.with_extension("json"), file.with_extension("svg"));
    for (path, text) in
        [(&json, &(serde_json::to_string_pretty(figures)? + "\n")), (&svg, &plot.to_owned())]
    {
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    println!("  written to {} and {}", json.display(), svg.display());
    Ok(())
}
