//! The Kafka client: its settings, and what it reports besides records.

mod consumer;
mod producer;
mod security;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use tracing::{debug, info, warn};

use crate::config::{KafkaConfig, MemoryConfig};
use crate::health::{Component, Health};
use crate::metrics::Metrics;
use crate::position::{Offset, Partition};

pub use consumer::KafkaConsumer;
pub use producer::{KafkaProducer, producer};

use trouble::Trouble;

/// How long a question to the broker may take.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// librdkafka's settings of a consumer, as DESIGN section 5 gives the reasons for them.
const SETTINGS: &[(&str, &str)] = &[
    // The database decides where reading goes on, never the broker.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    // The default hands on a flipped byte as good.
    ("check.crcs", "true"),
    ("isolation.level", "read_committed"),
    ("enable.partition.eof", "true"),
    // By default, a consumer keeps silent in its first 30 s that a topic is gone; by then it may have
    // been made anew.
    ("topic.metadata.propagation.max.ms", "0"),
    // The default of a second caps throughput.
    ("fetch.queue.backoff.ms", "1"),
    ("statistics.interval.ms", "1000"),
];

/// Those of every client.
const CLIENT_SETTINGS: &[(&str, &str)] = &[
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
];

/// What librdkafka keeps beside each record of its queue, roughly: the queue is bounded in records
/// too, so that many tiny ones don't take far more than its bytes.
const RECORD_OVERHEAD: u64 = 400;

/// A new consumer.
///
/// # Errors
/// If librdkafka refuses a setting, or has no resources.
pub fn consumer(
    config: &KafkaConfig,
    memory: &MemoryConfig,
    reporter: Reporter,
) -> KafkaResult<KafkaConsumer> {
    let mut settings = settings(config);
    let (queue, fetch) = (memory.queue.as_u64(), memory.fetch.as_u64());
    settings.set("queued.max.messages.kbytes", (queue / 1024).to_string());
    settings.set("queued.min.messages", (queue / RECORD_OVERHEAD).clamp(1, 100_000).to_string());
    bound_fetches(&mut settings, fetch);
    KafkaConsumer::new(&settings, reporter)
}

/// What a probe fetches at a time.
const PROBE_FETCH: u64 = 16 << 10;

/// A consumer that is to look at single records: it answers soon, and takes little memory.
///
/// # Errors
/// As [`consumer`].
pub fn probe(config: &KafkaConfig, reporter: Reporter) -> KafkaResult<KafkaConsumer> {
    let mut settings = settings(config);
    settings.set("fetch.wait.max.ms", "20");
    settings.set("queued.max.messages.kbytes", "64");
    bound_fetches(&mut settings, PROBE_FETCH);
    KafkaConsumer::new(&settings, reporter)
}

/// librdkafka raises the one limit to the other.
fn bound_fetches(settings: &mut ClientConfig, bytes: u64) {
    for name in ["fetch.message.max.bytes", "fetch.max.bytes", "message.max.bytes"] {
        settings.set(name, bytes.to_string());
    }
}

/// A new consumer that is asked about topics, and never polled: it keeps no statistics.
///
/// # Errors
/// As [`consumer`].
pub fn watcher(config: &KafkaConfig, reporter: Reporter) -> KafkaResult<KafkaConsumer> {
    let mut settings = settings(config);
    settings.set("statistics.interval.ms", "0");
    KafkaConsumer::new(&settings, reporter)
}

fn settings(config: &KafkaConfig) -> ClientConfig {
    let mut settings = client_settings(config);
    for (name, value) in SETTINGS {
        settings.set(*name, *value);
    }
    settings.set("group.id", &config.group_id);
    settings
}

fn client_settings(config: &KafkaConfig) -> ClientConfig {
    let mut settings = ClientConfig::new();
    for (name, value) in CLIENT_SETTINGS {
        settings.set(*name, *value);
    }
    settings.set("bootstrap.servers", &config.bootstrap_servers);
    settings.set("client.id", "forebay");
    security::protect(&mut settings, &config.security);
    settings.set_log_level(RDKafkaLogLevel::Info);
    settings
}

/// Passes on what librdkafka says of itself.
#[derive(Clone)]
pub struct Reporter {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    trouble: Arc<Trouble>,
}

impl Reporter {
    /// A reporter to these.
    pub fn new(metrics: Arc<Metrics>, health: Arc<Health>) -> Self {
        Self { metrics, health, trouble: Arc::default() }
    }

    /// Why the brokers can't be reached, as far as librdkafka has said.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.reason()
    }
}

impl ClientContext for Reporter {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.trouble.note_log(facility, message);
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => warn!(facility, "kafka client: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                info!(facility, "kafka client: {message}");
            }
            RDKafkaLogLevel::Debug => debug!(facility, "kafka client: {message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        for (name, topic) in &statistics.topics {
            // -1 is the count of what has no partition; ends below 0 are not known yet.
            for (number, partition) in topic.partitions.iter().filter(|(number, _)| **number >= 0) {
                if partition.ls_offset >= 0 {
                    let end = Offset(partition.ls_offset);
                    self.metrics.lag.ends_at(name, Partition(*number), end);
                }
            }
        }
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.trouble.clear();
            if self.health.up(Component::Broker) {
                info!("the Kafka brokers answer");
            }
            return;
        }
        let trouble = self.trouble().map(|reason| format!(": {reason}")).unwrap_or_default();
        let message = format!("no Kafka broker answers{trouble}");
        if self.health.down(Component::Broker, message.as_str()) {
            warn!("{message}; trying again until one does");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The same error comes out of poll, where it is judged and counted.
        debug!("kafka client: {error}: {reason}");
        self.trouble.note(&error, reason);
    }
}

impl ConsumerContext for Reporter {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            self.metrics.offset_commit_failures.inc();
            warn!("commit offsets to the broker: {error}; only lag tools miss them");
        }
    }
}

/// The reason for an error that comes with a code, for logs and metrics.
pub fn code_name(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => format!("{code:?}"),
        None => "Other".to_owned(),
    }
}
