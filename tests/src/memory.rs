//! How much memory a process takes.

use std::fs;

use anyhow::{Context, Result};

/// The most memory that a process has had at a time, in MiB: what was resident.
///
/// # Errors
///
/// If the system does not say.
pub fn peak_mib(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
