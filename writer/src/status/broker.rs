//! Looks at the broker.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::report::{Broker, Part};
use crate::config::Config;
use crate::health::Health;
use crate::kafka::{self, Reporter};
use crate::metrics::Metrics;
use crate::position::Topic;
use crate::survey::{partitions, survey};

/// How long all of the looking may take.
const BOUND: Duration = Duration::from_secs(20);

/// Where each partition of the topics ends.
pub async fn look(config: &Config) -> Part<Broker> {
    let (kafka, topics) = (config.kafka.clone(), config.source.topics.clone());
    let place = kafka.bootstrap_servers.clone();
    let look = tokio::task::spawn_blocking(move || {
        let metrics = Metrics::new().map_err(|error| error.to_string())?;
        let reporter = Reporter::new(Arc::new(metrics), Arc::new(Health::default()));
        let consumer = kafka::watcher(&kafka, reporter).map_err(|error| error.to_string())?;
        let servers = &kafka.bootstrap_servers;
        let mut keys = BTreeSet::new();
        for topic in &topics {
            let numbers =
                partitions(&consumer, servers, topic).map_err(|error| error.to_string())?;
            keys.extend(numbers.into_iter().map(|number| (Topic::from(topic.as_str()), number)));
        }
        let survey = survey(&consumer, servers, &keys).map_err(|error| error.to_string())?;
        let ends = survey.partitions.into_iter();
        let ends = ends.map(|one| ((one.topic, one.partition), one.high)).collect();
        Ok(Broker { cluster_id: survey.cluster_id, ends })
    });
    let seen = match tokio::time::timeout(BOUND, look).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(_)) => Err("the look at it ended early".to_owned()),
        Err(_) => Err(format!("no answer within {}", humantime::format_duration(BOUND))),
    };
    Part { place, seen }
}
