//! The writer's configuration: one TOML file, environment overrides, secrets by file.
//!
//! [`Config::load`] says every problem at once. What it gives is valid in itself; whether broker
//! and database agree is for `forebay check` to find out.

mod by_file;
mod database;
mod dsn;
mod files;
mod format;
mod kafka_security;
mod memory;
mod outbox;
mod problem;
mod reader;
mod secret;
mod section;
mod setting;
mod value;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use crate::decode::FormatConfig;
pub use database::DatabaseConfig;
pub use dsn::{DatabaseTls, Dsn, DsnProblem, SslMode, host_name};
pub use files::{FileRoot, FilesConfig, S3Config};
pub use kafka_security::{KafkaLogin, KafkaSecurity, KafkaTls, SaslMechanism};
pub use memory::MemoryConfig;
pub use outbox::{BatchFiles, OutboxConfig};
pub use problem::{Place, Problem};
pub use reader::{PREFIX, Variables};
pub use secret::Secret;
pub use section::{
    BatchConfig, DeadLetterConfig, HttpConfig, KafkaConfig, LogConfig, LogFormat, RejectionConfig,
    ShutdownConfig, SourceConfig, Start, WorkersConfig,
};

use reader::Reader;

/// All settings of a writer.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is read, and under which name its progress is kept.
    pub source: SourceConfig,
    /// Where it is read from.
    pub kafka: KafkaConfig,
    /// Where it is merged into.
    pub database: DatabaseConfig,
    /// How a message becomes rows.
    pub format: FormatConfig,
    /// How many workers share the partitions.
    pub workers: WorkersConfig,
    /// How large a batch may grow.
    pub batch: BatchConfig,
    /// What is buffered at most.
    pub memory: MemoryConfig,
    /// How many rejections are too many.
    pub rejections: RejectionConfig,
    /// What becomes of rejected events.
    pub dead_letters: DeadLetterConfig,
    /// Where merged batches are told of; none: nowhere.
    pub outbox: Option<OutboxConfig>,
    /// Where the files of datasets are looked for; none: nowhere.
    pub files: Option<FilesConfig>,
    /// Where metrics and health are served.
    pub http: HttpConfig,
    /// How the log looks.
    pub log: LogConfig,
    /// How the writer ends.
    pub shutdown: ShutdownConfig,
}

impl Config {
    /// Reads the file at `path`, overridden by `variables`.
    ///
    /// # Errors
    /// Every problem that the configuration has, in the order of the file.
    pub fn load(path: &Path, variables: &Variables) -> Result<Self, Vec<Problem>> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![Problem {
                place: Place::File(path.to_owned()),
                message: format!("cannot be read: {error}"),
                advice: "name a readable file with --config".to_owned(),
            }]
        })?;
        Self::read(path, &text, variables)
    }

    /// Reads `text`, which is the content of the file at `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read(path: &Path, text: &str, variables: &Variables) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(path, text, variables);
        let source = section::source(&mut reader);
        let kafka = section::kafka(&mut reader, source.as_ref());
        let database = database::database(&mut reader);
        let format = format::format(&mut reader);
        let workers = section::workers(&mut reader);
        let memory = memory::memory(&mut reader, workers.count);
        let batch = section::batch(&mut reader, &memory, workers.count);
        let rejections = section::rejections(&mut reader);
        let dead_letters = section::dead_letters(&mut reader);
        let outbox =
            outbox::outbox(&mut reader, source.as_ref(), database.as_ref(), format.as_ref());
        let files = files::files(&mut reader, format.as_ref());
        let http = section::http(&mut reader);
        let log = section::log(&mut reader);
        let shutdown = section::shutdown(&mut reader);
        let problems = reader.finish();
        match (source, kafka, database, format) {
            (Some(source), Some(kafka), Some(database), Some(format)) if problems.is_empty() => {
                Ok(Self {
                    source,
                    kafka,
                    database,
                    format,
                    workers,
                    batch,
                    memory,
                    rejections,
                    dead_letters,
                    outbox,
                    files,
                    http,
                    log,
                    shutdown,
                })
            }
            _ => Err(problems),
        }
    }
}
