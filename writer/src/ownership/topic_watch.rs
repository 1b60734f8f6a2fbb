//! Which partitions the topics have, looked up again and again: new ones are taken up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::allocation::Key;
use crate::backoff::{Backoff, shown};
use crate::failure::Failure;
use crate::health::Component;
use crate::kafka::{self, Reporter};
use crate::position::Topic;
use crate::survey::partitions;
use crate::worker::Surroundings;

/// How often the topics are looked up.
const INTERVAL: Duration = Duration::from_secs(5);

/// The partitions of all topics, when they were last seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Every partition.
    pub partitions: BTreeSet<Key>,
    /// When.
    pub at: Instant,
}

/// Starts to watch, on a thread of its own: none until the topics were seen. It ends when nobody
/// listens any more.
pub fn start(surroundings: Surroundings) -> watch::Receiver<Option<Seen>> {
    let (sender, receiver) = watch::channel(None);
    tokio::task::spawn_blocking(move || watch_topics(&surroundings, &sender));
    receiver
}

fn watch_topics(surroundings: &Surroundings, sender: &watch::Sender<Option<Seen>>) {
    let Surroundings { config, metrics, health, .. } = surroundings;
    let mut backoff = Backoff::new(Duration::from_millis(100), INTERVAL);
    let mut consumer = None;
    while !sender.is_closed() {
        let client = match consumer.take() {
            Some(client) => Ok(client),
            None => {
                let reporter = Reporter::new(metrics.clone(), health.clone());
                kafka::watcher(&config.kafka, reporter).map_err(Failure::Client)
            }
        };
        let looked = client.and_then(|client| {
            let mut found = BTreeSet::new();
            for topic in &config.source.topics {
                let numbers = partitions(&client, &config.kafka.bootstrap_servers, topic)?;
                let name = Topic::from(topic.as_str());
                found.extend(numbers.into_iter().map(|number| (name.clone(), number)));
            }
            Ok((client, found))
        });
        match looked {
            Ok((client, found)) => {
                backoff.reset();
                consumer = Some(client);
                if health.up(Component::Broker) {
                    info!(brokers = config.kafka.bootstrap_servers, "found the topics");
                }
                sender.send_replace(Some(Seen { partitions: found, at: Instant::now() }));
                rest(sender, INTERVAL);
            }
            Err(failure) => {
                let wait = backoff.wait();
                health.down(failure.component(), failure.to_string());
                warn!("{failure}; trying again in {}", shown(wait));
                rest(sender, wait);
            }
        }
    }
}

/// Waits, but not if nobody listens any more.
fn rest(sender: &watch::Sender<Option<Seen>>, wait: Duration) {
    let until = Instant::now() + wait;
    while !sender.is_closed() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100).min(wait));
    }
}
