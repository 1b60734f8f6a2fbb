//! Finds out which partition an error is about: librdkafka's binding does not say.

use std::fmt;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::verdict::ConsumeError;
use crate::kafka::{ANSWER_TIMEOUT, KafkaConsumer};
use crate::position::{Offset, Partition, Topic};

/// Where a partition goes on.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Its topic.
    pub topic: Topic,
    /// Its number.
    pub partition: Partition,
    /// The offset to hand over next.
    pub offset: Offset,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} at offset {}", self.topic, self.partition, self.offset)
    }
}

/// The error, with the partitions that it can be about, and what to do.
pub fn name(consumer: &KafkaConsumer, expected: &[Expected], error: &KafkaError) -> ConsumeError {
    let out_of_range =
        matches!(error.rdkafka_error_code(), Some(Code::AutoOffsetReset | Code::OffsetOutOfRange));
    let advice = match error.rdkafka_error_code() {
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
            "the log does not have that offset any more: it was truncated, removed by retention, \
             or the topic was made anew; nothing is skipped by itself"
        }
        Some(Code::BadMessage | Code::BadCompression | Code::InvalidMessage) => {
            "the broker's log is damaged there; restore that segment from another replica of the \
             partition"
        }
        Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed) => {
            "grant this client the right to read the topic"
        }
        _ => "look at the brokers' log; the writer stops rather than skip records",
    };
    let suspects: Vec<String> = expected
        .iter()
        .filter(|one| !out_of_range || is_outside(consumer, one))
        .map(ToString::to_string)
        .collect();
    let suspects = match suspects.len() {
        1 => suspects.concat(),
        _ => format!("one of {}", suspects.join(", ")),
    };
    ConsumeError::Stop(format!("read {suspects}: {error}; {advice}"))
}

/// Whether the log has not got this offset. A broker that does not answer is no alibi.
fn is_outside(consumer: &KafkaConsumer, expected: &Expected) -> bool {
    let marks =
        consumer.fetch_watermarks(expected.topic.as_str(), expected.partition.0, ANSWER_TIMEOUT);
    match marks {
        Ok((low, high)) => !(low..=high).contains(&expected.offset.0),
        Err(_) => true,
    }
}
