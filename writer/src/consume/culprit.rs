//! Finds out which partition an error is about: librdkafka's binding does not say.
//!
//! Each partition is read alone, from where it goes on, by a consumer of its own that fetches
//! little: one partition's answer is all that is in memory.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::expected::Expected;
use super::verdict::ConsumeError;
use crate::config::KafkaConfig;
use crate::kafka::{self, KafkaConsumer, Reporter};
use crate::log_check::damage_advice;
use crate::stopped_partition::PartitionStop;

/// How long a partition may take to show whether it is the one.
const PATIENCE: Duration = Duration::from_secs(2);

/// The error, with the partitions that it is about, and what to do.
pub fn name(
    config: &KafkaConfig,
    reporter: Reporter,
    expected: &[Expected],
    error: &KafkaError,
) -> ConsumeError {
    let probe = match kafka::probe(config, reporter) {
        Ok(probe) => probe,
        Err(failure) => return ConsumeError::ClaimAgain(format!("read: {error}; {failure}")),
    };
    let guilty = expected.iter().filter(|one| fails_alone(&probe, one, error));
    let stops: Vec<PartitionStop> = guilty.map(|one| stop(one, error)).collect();
    if stops.is_empty() {
        ConsumeError::ClaimAgain(format!("read: {error}; no partition shows it any more"))
    } else {
        ConsumeError::Partitions(stops)
    }
}

fn stop(expected: &Expected, error: &KafkaError) -> PartitionStop {
    let Expected { topic, partition, offset, .. } = expected;
    let advice = match error.rdkafka_error_code() {
        Some(Code::BadMessage | Code::BadCompression | Code::InvalidMessage) => {
            format!("the broker's log is damaged there; {}", damage_advice(topic, *partition))
        }
        _ => format!(
            "look at the brokers' log. If it can't be mended, {}",
            damage_advice(topic, *partition)
        ),
    };
    let message = format!("read at offset {offset} or behind it: {error}; {advice}");
    PartitionStop { topic: topic.clone(), partition: *partition, message }
}

/// Whether reading this partition alone, from where it goes on, fails in the same way.
fn fails_alone(probe: &KafkaConsumer, expected: &Expected, error: &KafkaError) -> bool {
    let mut alone = TopicPartitionList::new();
    let offset = KafkaOffset::Offset(expected.first_offset().0);
    let assigned = alone
        .add_partition_offset(expected.topic.as_str(), expected.partition.0, offset)
        .and_then(|()| probe.assign(&alone));
    let deadline = Instant::now() + PATIENCE;
    while assigned.is_ok() && Instant::now() < deadline {
        match probe.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) if message.offset() < expected.offset.0 => {}
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return false,
            Some(Err(found)) if found.rdkafka_error_code() == error.rdkafka_error_code() => {
                return true;
            }
            Some(Err(_)) => {}
        }
    }
    false
}
