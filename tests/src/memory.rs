//! How much memory a process takes.

use std::fs;

use anyhow::{Context, Result};

/// The most memory that a process has had at a time, in MiB: what was resident.
///
/// # Errors
///
/// If the system does not say.
pub fn peak_mib(process: u32) -> Result<f64> {
    mib(process, "VmHWM:")
}

/// The memory that a process has now, in MiB: what is resident.
///
/// # Errors
///
/// If the system does not say.
pub fn resident_mib(process: u32) -> Result<f64> {
    mib(process, "VmRSS:")
}

fn mib(process: u32, name: &str) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib = kib.with_context(|| format!("no {name} in {path}"))?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
