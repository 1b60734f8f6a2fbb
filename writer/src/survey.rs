//! What the broker has: the topics' partitions, and where they begin and end.
//!
//! All of it blocks, within bounds: call it where blocking is allowed.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka::{ANSWER_TIMEOUT, KafkaConsumer};
use crate::position::{Offset, Partition, Topic};

/// How long the client's own events are waited for: all of them are there already.
const SERVE: Duration = Duration::from_millis(10);

/// How many of them are looked at.
const SERVED: u32 = 100;

/// Partitions as the broker has them.
#[derive(Debug)]
pub struct Survey {
    /// The id of the Kafka cluster.
    pub cluster_id: Option<String>,
    /// By (topic, partition).
    pub partitions: Vec<Surveyed>,
}

/// One partition as the broker has it.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// Its topic.
    pub topic: Topic,
    /// Its number.
    pub partition: Partition,
    /// Its first offset that still exists.
    pub low: Offset,
    /// Its read-committed end.
    pub high: Offset,
    /// Where it starts if it was never seen: at its first record, unless
    /// [`start::resolve`](crate::start::resolve) says otherwise.
    pub start: Offset,
}

/// Why there is no survey. All of it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The broker does not answer, or not with what was asked.
    #[error("Kafka at {servers} does not answer the question for {question}: {reason}")]
    Broker {
        /// The configured servers.
        servers: String,
        /// What was asked for.
        question: String,
        /// What came back.
        reason: String,
    },
    /// The topic does not exist.
    #[error(
        "Kafka at {servers} has no topic \"{topic}\"; create it, or correct source.topics, \
         outbox.topic or kafka.bootstrap_servers"
    )]
    UnknownTopic {
        /// The configured servers.
        servers: String,
        /// The topic.
        topic: String,
    },
    /// The client does not tell a partition that is gone from one that nobody leads.
    #[error(
        "Kafka at {servers} has no {topic}/{partition}, or no leader for it; look at the brokers, \
         and whether the topic was deleted or has fewer partitions now"
    )]
    UnknownPartition {
        /// The configured servers.
        servers: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: Partition,
    },
    /// The topic exists, without a partition.
    #[error("topic \"{topic}\" has no partitions; create it again with at least one")]
    NoPartitions {
        /// The topic.
        topic: String,
    },
    /// The topic is there, and not in working order.
    #[error("topic \"{topic}\": {reason}; look at the brokers' log and the topic's permissions")]
    Topic {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
}

/// The name of what was asked, in front of the answer.
struct Asking<'a> {
    consumer: &'a KafkaConsumer,
    servers: &'a str,
}

/// Looks at these partitions.
///
/// # Errors
/// The first thing that is missing.
pub fn survey(
    consumer: &KafkaConsumer,
    servers: &str,
    keys: &BTreeSet<(Topic, Partition)>,
) -> Result<Survey, SurveyError> {
    let asking = Asking { consumer, servers };
    let mut partitions = Vec::with_capacity(keys.len());
    for (topic, partition) in keys {
        let (low, high) = asking.watermarks(topic.as_str(), *partition)?;
        let (topic, partition) = (topic.clone(), *partition);
        partitions.push(Surveyed { topic, partition, low, high, start: low });
    }
    Ok(Survey { cluster_id: consumer.client().fetch_cluster_id(ANSWER_TIMEOUT), partitions })
}

/// The numbers of a topic's partitions.
///
/// # Errors
/// If the broker does not answer, or there are none.
pub fn partitions(
    consumer: &KafkaConsumer,
    servers: &str,
    topic: &str,
) -> Result<Vec<Partition>, SurveyError> {
    Asking { consumer, servers }.partitions(topic)
}

fn is_unknown(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
    )
}

impl Asking<'_> {
    fn partitions(&self, topic: &str) -> Result<Vec<Partition>, SurveyError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), ANSWER_TIMEOUT)
            .map_err(|error| self.failed(format!("topic \"{topic}\""), error))?;
        let unknown = || SurveyError::UnknownTopic {
            servers: self.servers.to_owned(),
            topic: topic.to_owned(),
        };
        let found =
            metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(unknown)?;
        if let Some(error) = found.error() {
            return Err(match RDKafkaErrorCode::from(error) {
                code if is_unknown(code) => unknown(),
                code => SurveyError::Topic { topic: topic.to_owned(), reason: code.to_string() },
            });
        }
        if found.partitions().is_empty() {
            return Err(SurveyError::NoPartitions { topic: topic.to_owned() });
        }
        Ok(found.partitions().iter().map(|partition| Partition(partition.id())).collect())
    }

    fn watermarks(
        &self,
        topic: &str,
        partition: Partition,
    ) -> Result<(Offset, Offset), SurveyError> {
        let (low, high) = self
            .consumer
            .fetch_watermarks(topic, partition.0, ANSWER_TIMEOUT)
            .map_err(|error| match error.rdkafka_error_code() {
                Some(code) if is_unknown(code) => SurveyError::UnknownPartition {
                    servers: self.servers.to_owned(),
                    topic: topic.to_owned(),
                    partition,
                },
                _ => self.failed(format!("the offsets of {topic}/{partition}"), error),
            })?;
        Ok((Offset(low), Offset(high)))
    }

    fn failed(&self, question: String, error: KafkaError) -> SurveyError {
        // Serves the client's own log lines and errors, which nobody polls for yet.
        for _ in 0..SERVED {
            if self.consumer.poll(SERVE).is_none() {
                break;
            }
        }
        let reason = match (self.consumer.context().trouble(), error.rdkafka_error_code()) {
            (Some(trouble), _) => trouble,
            (None, Some(code)) => code.to_string(),
            (None, None) => error.to_string(),
        };
        SurveyError::Broker { servers: self.servers.to_owned(), question, reason }
    }
}
