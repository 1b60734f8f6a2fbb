//! The Kafka client: its settings, and what it reports besides records.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use tracing::{debug, info, warn};

use crate::config::KafkaConfig;
use crate::health::{Component, Health};
use crate::metrics::Metrics;
use crate::position::{Offset, Partition};

/// A consumer that reports to the writer's metrics and health.
pub type KafkaConsumer = BaseConsumer<Reporter>;

/// How long a question to the broker may take.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// librdkafka's settings, as DESIGN section 5 gives the reasons for them.
const SETTINGS: &[(&str, &str)] = &[
    // The database decides where reading goes on, never the broker.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    // The default hands on a flipped byte as good.
    ("check.crcs", "true"),
    ("isolation.level", "read_committed"),
    ("enable.partition.eof", "true"),
    // The default of a second caps throughput.
    ("fetch.queue.backoff.ms", "1"),
    // Together they bound the memory.
    ("queued.max.messages.kbytes", "4096"),
    ("fetch.message.max.bytes", "65536"),
    ("fetch.max.bytes", "262144"),
    ("message.max.bytes", "262144"),
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
    ("statistics.interval.ms", "1000"),
];

/// A new consumer. It is never subscribed; it reads what it is assigned.
///
/// # Errors
/// If librdkafka refuses a setting, or has no resources.
pub fn consumer(config: &KafkaConfig, reporter: Reporter) -> KafkaResult<KafkaConsumer> {
    KafkaConsumer::from_config_and_context(&settings(config), reporter)
}

/// A new consumer that is asked about topics, and never polled: it keeps no statistics.
///
/// # Errors
/// As [`consumer`].
pub fn watcher(config: &KafkaConfig, reporter: Reporter) -> KafkaResult<KafkaConsumer> {
    let mut settings = settings(config);
    settings.set("statistics.interval.ms", "0");
    KafkaConsumer::from_config_and_context(&settings, reporter)
}

fn settings(config: &KafkaConfig) -> ClientConfig {
    let mut settings = ClientConfig::new();
    for (name, value) in SETTINGS {
        settings.set(*name, *value);
    }
    settings.set("bootstrap.servers", &config.bootstrap_servers);
    settings.set("group.id", &config.group_id);
    settings.set("client.id", "forebay");
    settings.set_log_level(RDKafkaLogLevel::Info);
    settings
}

/// Passes on what librdkafka says of itself.
#[derive(Clone)]
pub struct Reporter {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

impl Reporter {
    /// A reporter to these.
    pub fn new(metrics: Arc<Metrics>, health: Arc<Health>) -> Self {
        Self { metrics, health }
    }
}

impl ClientContext for Reporter {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
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
            if self.health.up(Component::Broker) {
                info!("the Kafka brokers answer");
            }
        } else if self.health.down(Component::Broker, "no Kafka broker answers") {
            warn!("no Kafka broker answers; trying again until one does");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The same error comes out of poll, where it is judged and counted.
        debug!("kafka client: {error}: {reason}");
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
