//! Which partitions the topics have, looked up again and again: new ones are taken up, and those of
//! a topic that is gone are given back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::allocation::Key;
use super::known_topics::KnownTopics;
use crate::backoff::{Backoff, shown};
use crate::failure::Failure;
use crate::health::Component;
use crate::kafka::{self, KafkaConsumer, Reporter};
use crate::position::Topic;
use crate::survey::{SurveyError, partitions};
use crate::worker::Surroundings;

/// How often the topics are looked up.
const INTERVAL: Duration = Duration::from_secs(5);

/// How soon they are looked up again at first, if that failed or one was missing.
const SOON: Duration = Duration::from_millis(100);

/// The partitions of the topics that are there, when they were last seen.
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
    let mut watching = Watching {
        surroundings,
        sender,
        client: None,
        known: KnownTopics::default(),
        without_answer: Backoff::new(SOON, INTERVAL),
        without_topic: Backoff::new(SOON, INTERVAL),
        said: String::new(),
    };
    tokio::task::spawn_blocking(move || watching.run());
    receiver
}

struct Watching {
    surroundings: Surroundings,
    sender: watch::Sender<Option<Seen>>,
    client: Option<KafkaConsumer>,
    known: KnownTopics,
    without_answer: Backoff,
    without_topic: Backoff,
    /// What the log says of missing topics.
    said: String,
}

impl Watching {
    fn run(&mut self) {
        while !self.sender.is_closed() {
            let wait = match self.look() {
                Ok(wait) => wait,
                Err(failure) => {
                    let wait = self.without_answer.wait();
                    self.surroundings.health.down(failure.component(), failure.to_string());
                    warn!("{failure}; trying again in {}", shown(wait));
                    wait
                }
            };
            self.rest(wait);
        }
    }

    /// Looks at all topics, and answers when to look again. A topic that is not there keeps none of
    /// the others from being read.
    fn look(&mut self) -> Result<Duration, Failure> {
        let Surroundings { config, metrics, health, .. } = &self.surroundings;
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let reporter = Reporter::new(metrics.clone(), health.clone());
                kafka::watcher(&config.kafka, reporter).map_err(Failure::Client)?
            }
        };
        let (mut is_complete, mut gone) = (true, Vec::new());
        for name in &config.source.topics {
            let topic = Topic::from(name.as_str());
            match partitions(&client, &config.kafka.bootstrap_servers, name) {
                Ok(numbers) => self.known.found(topic, numbers),
                Err(error @ SurveyError::Broker { .. }) => return Err(error.into()),
                Err(error) => {
                    is_complete = false;
                    if self.known.missed(&topic) {
                        gone.push(error.to_string());
                    } else {
                        debug!("{error}");
                    }
                }
            }
        }
        self.client = Some(client);
        self.without_answer.reset();
        if health.up(Component::Broker) {
            info!(brokers = config.kafka.bootstrap_servers, "the Kafka brokers answer");
        }
        self.tell(gone.join("; "));
        Ok(if is_complete {
            self.without_topic.reset();
            INTERVAL
        } else {
            self.without_topic.wait()
        })
    }

    /// Tells the steward what there is, and people what there is not.
    fn tell(&mut self, gone: String) {
        let health = &self.surroundings.health;
        let seen = Seen { partitions: self.known.partitions(), at: Instant::now() };
        if gone.is_empty() {
            self.sender.send_replace(Some(seen));
            if health.up(Component::Topics) {
                info!("all topics are there");
            }
        } else {
            if gone != self.said {
                warn!("{gone}; looking for it again and again");
            }
            health.down(Component::Topics, gone.as_str());
            self.sender.send_replace(Some(seen));
        }
        self.said = gone;
    }

    /// Waits, but not if nobody listens any more.
    fn rest(&self, wait: Duration) {
        let until = Instant::now() + wait;
        while !self.sender.is_closed() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100).min(wait));
        }
    }
}
