//! The figures, for people and for programs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Serialize;

/// What one system did. What was not measured is null.
#[derive(Debug, Serialize)]
pub struct Measurement {
    pub system: String,
    pub rows: u64,
    pub seconds: f64,
    pub rows_per_second: f64,
    /// Of the client's process alone.
    pub peak_rss_mib: Option<f64>,
    /// Of the client and the database together.
    pub cpu_seconds: Option<f64>,
    pub wal_bytes: Option<i64>,
}

pub fn print_header() {
    println!();
    println!("  system        seconds    rows/s   peak RSS   CPU s        WAL");
}

pub fn print(measurement: &Measurement) {
    let optional = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    println!(
        "  {:<12} {:>8.2} {:>9.0} {:>6} MiB {:>7} {:>6} MiB",
        measurement.system,
        measurement.seconds,
        measurement.rows_per_second,
        optional(measurement.peak_rss_mib, 0),
        optional(measurement.cpu_seconds, 1),
        optional(measurement.wal_bytes.map(|bytes| bytes as f64 / 1_048_576.0), 0),
    );
}

/// Writes `target/bench/<scenario>.json` under the repository's root.
pub fn write(root: &Path, scenario: &str, results: &[Measurement]) -> Result<PathBuf> {
    let directory = root.join("target/bench");
    fs::create_dir_all(&directory)?;
    let file = directory.join(format!("{scenario}.json"));
    fs::write(&file, serde_json::to_string_pretty(results)? + "\n")
        .with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}
