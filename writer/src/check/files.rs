//! Looks at the roots of the files: are they there, and can copies be made.

use std::sync::Arc;

use super::Finding;
use crate::config::Config;
use crate::files::{Files, StoreError};
use crate::metrics::Metrics;

/// Looks at both roots; at nothing if files are no concern of the writer's.
pub async fn look(config: &Config) -> Vec<Finding> {
    let Some(of_datasets) = &config.files else { return Vec::new() };
    let (place, good) = match &of_datasets.staging_root {
        Some(staging) => (
            format!("files.root {} and files.staging_root {staging}", of_datasets.root),
            "are there, and files can be copied from the one to the other",
        ),
        None => (format!("files.root {}", of_datasets.root), "is there"),
    };
    let files = match Metrics::new() {
        Ok(metrics) => Files::new(of_datasets, Arc::new(metrics)),
        Err(error) => return vec![Finding::problem(place, error)],
    };
    let probed: Result<(), StoreError> = match files {
        Ok(files) => files.probe().await,
        Err(error) => Err(error),
    };
    vec![match probed {
        Ok(()) => Finding::good(place, good),
        Err(error) => Finding::problem(
            place,
            format!(
                "{error}; mount or start it, correct the setting, or give the writer the right to"
            ),
        ),
    }]
}
