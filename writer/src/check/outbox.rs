//! Looks whether batches can be told of: the files' directory, and the replicas that are waited for.
//! The topic is looked at with the others.

use super::Finding;
use crate::config::Config;
use crate::outbox::{look_at_replica, probe};

/// Looks at all of it; at nothing if nothing is to be published.
pub async fn look(config: &Config) -> Vec<Finding> {
    let Some(outbox) = &config.outbox else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(files) = &outbox.files {
        let place = format!("outbox.directory {}", files.directory.display());
        findings.push(match probe(&files.directory) {
            Ok(()) => Finding::good(place, "can be written"),
            Err(error) => Finding::problem(
                place,
                format!("cannot be written: {error}; make it, or give the writer the right to"),
            ),
        });
    }
    for replica in &outbox.replicas {
        let place = format!("outbox.replicas {replica}");
        let looked = look_at_replica(replica, &config.database, &config.source.name).await;
        findings.push(match looked {
            Ok(()) => Finding::good(place, "says which rows of the outbox it has"),
            Err(error) => Finding::problem(
                place,
                format!(
                    "{}; start it, correct outbox.replicas, or grant forebay_writer to its role",
                    error.message()
                ),
            ),
        });
    }
    findings
}
