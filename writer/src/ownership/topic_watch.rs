//! Which partitions the topics have, looked up again and again: new ones are taken up, and those of
//! a topic that is gone are given back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::allocation::Key;
use crate::backoff::{Backoff, shown};
use crate::config::Config;
use crate::failure::Failure;
use crate::health::{Component, Health};
use crate::kafka::{self, KafkaConsumer, Reporter};
use crate::position::Topic;
use crate::survey::{SurveyError, partitions};
use crate::worker::Surroundings;

/// How often the topics are looked up.
const INTERVAL: Duration = Duration::from_secs(5);

/// The partitions of the topics that are there, when they were last seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Every partition.
    pub partitions: BTreeSet<Key>,
    /// When.
    pub at: Instant,
}

/// What one look found.
#[derive(Debug, Default)]
struct Found {
    partitions: BTreeSet<Key>,
    /// Why some topics have none.
    missing: Vec<SurveyError>,
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
        let looked = client.and_then(|client| Ok((look(&client, config)?, client)));
        let wait = match looked {
            Ok((found, client)) => {
                consumer = Some(client);
                if health.up(Component::Broker) {
                    info!(brokers = config.kafka.bootstrap_servers, "the Kafka brokers answer");
                }
                let wait = judge(&found.missing, health, &mut backoff);
                sender
                    .send_replace(Some(Seen { partitions: found.partitions, at: Instant::now() }));
                wait
            }
            Err(failure) => {
                let wait = backoff.wait();
                health.down(failure.component(), failure.to_string());
                warn!("{failure}; trying again in {}", shown(wait));
                wait
            }
        };
        rest(sender, wait);
    }
}

/// Looks at all topics.
///
/// # Errors
/// If the broker does not answer. A topic that is not there keeps none of the others from being
/// read.
fn look(client: &KafkaConsumer, config: &Config) -> Result<Found, SurveyError> {
    let mut found = Found::default();
    for topic in &config.source.topics {
        match partitions(client, &config.kafka.bootstrap_servers, topic) {
            Ok(numbers) => {
                let name = Topic::from(topic.as_str());
                found.partitions.extend(numbers.into_iter().map(|number| (name.clone(), number)));
            }
            Err(error @ SurveyError::Broker { .. }) => return Err(error),
            Err(error) => found.missing.push(error),
        }
    }
    Ok(found)
}

/// Says which topics are missing, and answers when to look again.
fn judge(missing: &[SurveyError], health: &Health, backoff: &mut Backoff) -> Duration {
    if missing.is_empty() {
        backoff.reset();
        if health.up(Component::Topics) {
            info!("all topics are there");
        }
        return INTERVAL;
    }
    let wait = backoff.wait();
    let reasons: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let reasons = reasons.join("; ");
    warn!("{reasons}; looking again in {}", shown(wait));
    health.down(Component::Topics, reasons);
    wait
}

/// Waits, but not if nobody listens any more.
fn rest(sender: &watch::Sender<Option<Seen>>, wait: Duration) {
    let until = Instant::now() + wait;
    while !sender.is_closed() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100).min(wait));
    }
}
