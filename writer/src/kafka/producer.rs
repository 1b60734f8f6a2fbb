//! A producer for what batches have to say.

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::KafkaResult;
use rdkafka::producer::FutureProducer;

use super::{Reporter, client_settings};
use crate::config::KafkaConfig;

/// A producer that reports to the writer's log.
pub type KafkaProducer = FutureProducer<Reporter>;

/// What a message takes beside its value: its key, and what the protocol adds.
const OVERHEAD: u64 = 4096;

/// librdkafka's settings: a message is acknowledged by all replicas in sync, and its repetition
/// neither doubles nor overtakes another.
const SETTINGS: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // After this it is a failure, which is told and tried again from the database.
    ("message.timeout.ms", "30000"),
    ("linger.ms", "0"),
    ("compression.type", "zstd"),
];

/// A new producer of messages of up to `max_message_bytes`.
///
/// # Errors
/// If librdkafka refuses a setting, or has no resources.
pub fn producer(
    config: &KafkaConfig,
    max_message_bytes: u64,
    reporter: Reporter,
) -> KafkaResult<KafkaProducer> {
    let mut settings = client_settings(config);
    for (name, value) in SETTINGS {
        settings.set(*name, *value);
    }
    settings.set("message.max.bytes", (max_message_bytes + OVERHEAD).max(1_000_000).to_string());
    KafkaProducer::from_config_and_context(&settings, reporter)
}
