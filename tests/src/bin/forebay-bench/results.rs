//! What was measured of systems that do the same.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{goal::Goal, system::System};

/// What one system did: in the run that took the median of the time.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    pub system: System,
    /// Rows, or datasets, that it was given; those of bad events are among them.
    pub rows: u64,
    pub events: u64,
    pub seconds: f64,
    /// Of all runs, in their order.
    pub seconds_of_runs: Vec<f64>,
    pub rows_per_second: f64,
    pub events_per_second: f64,
    /// Of the client's process alone.
    pub peak_rss_mib: f64,
    /// Of the client's process alone.
    pub client_cpu_seconds_per_million_rows: f64,
    /// Of the database, if it can be looked at.
    pub server_cpu_seconds_per_million_rows: Option<f64>,
    pub wal_bytes_per_row: f64,
    /// Seconds per step, of those that say so.
    pub steps: BTreeMap<String, f64>,
    /// How often a writer has repeated a batch that was in a deadlock.
    pub deadlocks: Option<u64>,
}

impl Measurement {
    /// The one of these runs of a system that took the median of the time; of an even number, the
    /// lower one.
    pub fn median(mut runs: Vec<Self>) -> Option<Self> {
        let seconds_of_runs: Vec<_> = runs.iter().map(|run| run.seconds).collect();
        runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let median = runs.get(runs.len().saturating_sub(1) / 2)?.clone();
        Some(Self { seconds_of_runs, ..median })
    }
}

/// What all systems did in one scenario, and what was aimed at.
#[derive(Debug)]
pub struct Results {
    pub scenario: String,
    pub goals: Vec<Goal>,
    pub measurements: Vec<Measurement>,
}

impl Results {
    pub fn of(&self, system: System) -> Option<&Measurement> {
        self.measurements.iter().find(|measurement| measurement.system == system)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Measurement;
    use crate::system::System;

    impl Measurement {
        /// One of a row that took so long.
        pub fn sample(system: System, seconds: f64) -> Self {
            Self {
                system,
                rows: 1,
                events: 1,
                seconds,
                seconds_of_runs: vec![seconds],
                rows_per_second: 1.0 / seconds,
                events_per_second: 1.0 / seconds,
                peak_rss_mib: 0.0,
                client_cpu_seconds_per_million_rows: 0.0,
                server_cpu_seconds_per_million_rows: None,
                wal_bytes_per_row: 0.0,
                steps: BTreeMap::new(),
                deadlocks: None,
            }
        }
    }

    #[test]
    fn the_median_run_counts() {
        let median = |seconds: &[f64]| {
            let runs = seconds.iter().map(|seconds| Measurement::sample(System::Copy, *seconds));
            Measurement::median(runs.collect())
                .map(|median| (median.seconds, median.seconds_of_runs))
        };
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some((3.0, vec![3.0])));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some((2.0, vec![9.0, 1.0, 2.0])));
        assert_eq!(median(&[4.0, 1.0]), Some((1.0, vec![4.0, 1.0])));
    }
}
