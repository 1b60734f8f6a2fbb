//! The sections of the file but `[database]`: their types, names and defaults.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::Timestamp;

use super::kafka_security::{self, KafkaSecurity};
use super::memory::{self, MemoryConfig};
use super::reader::Reader;
use super::value;

/// Where a partition that was never seen begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At its first record.
    Earliest,
    /// At its first record of this time or later.
    At(Timestamp),
    /// Where this consumer group would go on.
    Group(String),
}

/// What is read.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// The name under which progress is kept.
    pub name: String,
    /// Its topics, sorted, each once.
    pub topics: Vec<String>,
    /// Where partitions begin that were never seen.
    pub start: Start,
}

/// The Kafka cluster.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// `host:port`, several with commas.
    pub bootstrap_servers: String,
    /// The group whose offsets are kept for lag tools. The writer itself never reads them.
    pub group_id: String,
    /// How the connections are protected, and as whom the writer logs in.
    pub security: KafkaSecurity,
}

/// The workers of a process.
#[derive(Debug, Clone)]
pub struct WorkersConfig {
    /// How many: each has a connection, batches and a share of the partitions of its own.
    pub count: usize,
}

/// How large a batch may grow while the one before it is merged.
#[derive(Debug, Clone)]
pub struct BatchConfig {
    /// In rows.
    pub max_rows: u64,
    /// In bytes, all its buffers taken together.
    pub max_bytes: ByteSize,
}

/// When rejections are so many that a setting must be wrong.
#[derive(Debug, Clone)]
pub struct RejectionConfig {
    /// The largest share of a batch's events that may be rejected.
    pub max_share: f64,
    /// In batches of at least so many events.
    pub min_events: u64,
}

/// What becomes of rejected events.
#[derive(Debug, Clone)]
pub struct DeadLetterConfig {
    /// How long they are kept after their last rejection; none: for ever.
    pub retention: Option<Duration>,
}

/// The HTTP server.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where it listens; port 0 takes a free one and logs which.
    pub listen: SocketAddr,
}

/// The log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Its look.
    pub format: LogFormat,
    /// `tracing-subscriber` directives, mostly just a level.
    pub level: String,
}

/// The look of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// A JSON object per line.
    Json,
}

/// How the writer ends.
#[derive(Debug, Clone)]
pub struct ShutdownConfig {
    /// How long it may take to merge what is already read.
    pub drain_timeout: Duration,
}

pub(super) fn source(reader: &mut Reader<'_>) -> Option<SourceConfig> {
    let name = value::text(reader, "source", "name");
    if name.is_none() && reader.setting("source", "name").is_none() {
        reader.missing("source", "name", "\"…\"");
    }
    let topics = value::list(reader, "source", "topics").filter(|topics| !topics.is_empty());
    match (&topics, reader.setting("source", "topics")) {
        (None, None) => reader.missing("source", "topics", "[\"…\"]"),
        (None, Some(setting)) if setting.value.list().is_some_and(|topics| topics.is_empty()) => {
            reader.problem(setting.place, "source.topics is empty", "name at least one topic");
        }
        _ => {}
    }
    let start = start(reader);
    let mut topics = topics?;
    topics.sort_unstable();
    topics.dedup();
    Some(SourceConfig { name: name?, topics, start })
}

fn start(reader: &mut Reader<'_>) -> Start {
    let Some(setting) = reader.setting("source", "start") else { return Start::Earliest };
    let text = setting.value.text().unwrap_or_default();
    if text == "earliest" {
        return Start::Earliest;
    }
    if let Some(group) = text.strip_prefix("group:").map(str::trim).filter(|name| !name.is_empty())
    {
        return Start::Group(group.to_owned());
    }
    match text.parse() {
        Ok(time) => Start::At(time),
        Err(_) => {
            value::refuse(
                reader,
                &setting,
                "\"earliest\", a time such as \"2026-01-31T12:00:00Z\", or \"group:…\" with the name \
                 of a consumer group (\"latest\" would skip what is produced before the first \
                 start)",
            );
            Start::Earliest
        }
    }
}

pub(super) fn kafka(reader: &mut Reader<'_>, source: Option<&SourceConfig>) -> Option<KafkaConfig> {
    let bootstrap_servers = value::text(reader, "kafka", "bootstrap_servers");
    if bootstrap_servers.is_none() && reader.setting("kafka", "bootstrap_servers").is_none() {
        reader.missing("kafka", "bootstrap_servers", "\"host:9092\"");
    }
    let group_id = value::text(reader, "kafka", "group_id");
    let group_id = group_id.or_else(|| source.map(|source| format!("forebay.{}", source.name)));
    let security = kafka_security::security(reader);
    Some(KafkaConfig {
        bootstrap_servers: bootstrap_servers?,
        group_id: group_id?,
        security: security?,
    })
}

pub(super) fn workers(reader: &mut Reader<'_>) -> WorkersConfig {
    let count = value::count(reader, "workers", "count", 1, (1, 64));
    WorkersConfig { count: usize::try_from(count).unwrap_or(1) }
}

pub(super) fn batch(reader: &mut Reader<'_>, memory: &MemoryConfig, workers: usize) -> BatchConfig {
    BatchConfig {
        max_rows: value::count(reader, "batch", "max_rows", 20_000, (1, 10_000_000)),
        max_bytes: memory::batch(reader, memory, workers),
    }
}

pub(super) fn rejections(reader: &mut Reader<'_>) -> RejectionConfig {
    RejectionConfig {
        max_share: value::share(reader, "rejections", "max_share", 0.5),
        min_events: value::count(reader, "rejections", "min_events", 100, (1, u64::MAX)),
    }
}

pub(super) fn dead_letters(reader: &mut Reader<'_>) -> DeadLetterConfig {
    DeadLetterConfig { retention: value::long_duration(reader, "dead_letters", "retention") }
}

pub(super) fn http(reader: &mut Reader<'_>) -> HttpConfig {
    let default = SocketAddr::from(([127, 0, 0, 1], 9464));
    let Some(setting) = reader.setting("http", "listen") else {
        return HttpConfig { listen: default };
    };
    let listen = setting.value.text().and_then(|text| text.parse().ok());
    if listen.is_none() {
        value::refuse(reader, &setting, "an address and port, such as \"127.0.0.1:9464\"");
    }
    HttpConfig { listen: listen.unwrap_or(default) }
}

pub(super) fn log(reader: &mut Reader<'_>) -> LogConfig {
    let formats = [("human", LogFormat::Human), ("json", LogFormat::Json)];
    let format = value::choice(reader, "log", "format", &formats, LogFormat::Human);
    let mut level = "info".to_owned();
    if let Some(setting) = reader.setting("log", "level") {
        match setting.value.text().filter(|text| crate::logging::is_valid_filter(text)) {
            Some(text) => text.clone_into(&mut level),
            None => value::refuse(
                reader,
                &setting,
                "a level (\"error\", \"warn\", \"info\", \"debug\", \"trace\") or directives such \
                 as \"info,forebay_writer=debug\"",
            ),
        }
    }
    LogConfig { format, level }
}

pub(super) fn shutdown(reader: &mut Reader<'_>) -> ShutdownConfig {
    let default = Duration::from_secs(10);
    ShutdownConfig { drain_timeout: value::duration(reader, "shutdown", "drain_timeout", default) }
}
