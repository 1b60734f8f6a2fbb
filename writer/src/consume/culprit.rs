//! Finds out which partition an error is about: librdkafka's binding does not say.

use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::verdict::ConsumeError;
use crate::kafka::KafkaConsumer;
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

/// How long a partition may take to show whether it is the one.
const PROBE: Duration = Duration::from_secs(2);

/// The error, with the partition that it is about, and what to do. The consumer is of no use for
/// anything else after this.
pub fn name(consumer: &KafkaConsumer, expected: &[Expected], error: &KafkaError) -> ConsumeError {
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
    let named: Vec<String> = match expected {
        [only] => vec![only.to_string()],
        several => {
            let guilty = several.iter().filter(|one| fails_alone(consumer, one, error));
            guilty.map(ToString::to_string).collect()
        }
    };
    let named = match named.as_slice() {
        [] => "a partition that no longer shows it".to_owned(),
        named => named.join(", "),
    };
    ConsumeError::Stop(format!("read {named}: {error}; {advice}"))
}

/// Whether reading this partition alone, from where it goes on, fails in the same way.
fn fails_alone(consumer: &KafkaConsumer, expected: &Expected, error: &KafkaError) -> bool {
    let mut alone = TopicPartitionList::new();
    let offset = KafkaOffset::Offset(expected.offset.0);
    let assigned = alone
        .add_partition_offset(expected.topic.as_str(), expected.partition.0, offset)
        .and_then(|()| consumer.assign(&alone));
    let deadline = Instant::now() + PROBE;
    while assigned.is_ok() && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return false,
            Some(Err(found)) if found.rdkafka_error_code() == error.rdkafka_error_code() => {
                return true;
            }
            Some(Err(_)) => {}
        }
    }
    false
}
