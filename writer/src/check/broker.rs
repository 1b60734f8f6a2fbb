//! Looks at the broker and the topics.

use std::sync::Arc;

use super::Finding;
use crate::config::Config;
use crate::health::Health;
use crate::kafka::{self, Reporter};
use crate::metrics::Metrics;
use crate::survey::{SurveyError, partitions};

/// Looks at every topic; once the broker doesn't answer, the rest is not asked for.
pub async fn look(config: &Config) -> Vec<Finding> {
    let (kafka, mut topics) = (config.kafka.clone(), config.source.topics.clone());
    topics.extend(config.outbox.iter().map(|outbox| outbox.topic.clone()));
    let place = format!("broker {}", kafka.bootstrap_servers);
    let lost = place.clone();
    let look = move || {
        let reporter = match Metrics::new() {
            Ok(metrics) => Reporter::new(Arc::new(metrics), Arc::new(Health::default())),
            Err(error) => return vec![Finding::problem(&place, error)],
        };
        let consumer = match kafka::probe(&kafka, reporter) {
            Ok(consumer) => consumer,
            Err(error) => return vec![Finding::problem(&place, error)],
        };
        let mut findings = Vec::new();
        for topic in &topics {
            match partitions(&consumer, &kafka.bootstrap_servers, topic) {
                Ok(partitions) => {
                    let message =
                        format!("topic \"{topic}\" has {} partition(s)", partitions.len());
                    findings.push(Finding::good(&place, message));
                }
                Err(error @ SurveyError::Broker { .. }) => {
                    let advice = "start it, or correct kafka.bootstrap_servers";
                    findings.push(Finding::problem(&place, format!("{error}; {advice}")));
                    break;
                }
                Err(error) => findings.push(Finding::problem(&place, error)),
            }
        }
        findings
    };
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|_| vec![Finding::problem(lost, "the look at it ended early")])
}
