//! What processes have used, by `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// Linux counts in hundredths of a second there, whatever the kernel's own clock is.
const TICKS_PER_SECOND: f64 = 100.0;

/// The CPU seconds of a process and of all descendants that it has waited for.
pub fn cpu_seconds(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The second field is a name in parentheses, in which anything may stand. From the state, the
    // third field, on: user, system, and both of the children are the 14th to the 17th.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(4).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>().with_context(|| format!("understand {path}"))?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// The CPU seconds of a PostgreSQL server: the postmaster, its backends, and those that ended.
pub fn server_cpu_seconds(postmaster: u32) -> Result<f64> {
    let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"))?;
    let live = children.split_whitespace().filter_map(|id| id.parse().ok());
    // One that ends between the two looks is then among those that the postmaster waited for.
    let live: f64 = live.filter_map(|id| cpu_seconds(id).ok()).sum();
    Ok(live + cpu_seconds(postmaster)?)
}
