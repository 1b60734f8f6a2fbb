//! `forebay resume`: a person decides where a stopped partition goes on.
//!
//! It looks at progress and at the log, says what will be skipped or repeated, and changes progress
//! after a yes. A running writer goes on from there by itself.

mod go_on;
mod plan;
mod progress;
mod readable;

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use rdkafka::error::KafkaError;

pub use go_on::GoOn;

use crate::cli::ResumeArguments;
use crate::config::Config;
use crate::health::Health;
use crate::kafka::{self, KafkaConsumer, Reporter};
use crate::log_check::LogRange;
use crate::metrics::Metrics;
use crate::position::{Offset, Partition, Topic};
use crate::session::{DatabaseError, Session};
use crate::start;
use crate::survey::{Survey, SurveyError, Surveyed, partitions, survey};

use plan::{Plan, Unreadable};
use progress::Stored;
use readable::NotSkipped;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The connection was lost while progress was being changed.
    #[error("{0}. Whether progress was changed is not known: run the command again, and see")]
    Unknown(DatabaseError),
    /// No such progress.
    #[error(
        "source \"{source_name}\" has no progress of {topic}/{partition}: a partition that was \
         never claimed starts at source.start by itself"
    )]
    NeverClaimed {
        /// The source.
        source_name: String,
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
    },
    /// The broker.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The Kafka client can't be made.
    #[error("make a Kafka client: {0}")]
    Client(#[from] KafkaError),
    /// The topic has no such partition.
    #[error("{0}/{1} does not exist: the topic has fewer partitions")]
    NoPartition(Topic, Partition),
    /// The log does not have the offset.
    #[error("offset {offset} is not in the log, which has {} to {}", log.low, log.high)]
    OutOfLog {
        /// The offset.
        offset: Offset,
        /// The log.
        log: LogRange,
    },
    /// There is nothing to skip, or it can't be found out.
    #[error(transparent)]
    NotSkipped(#[from] NotSkipped),
    /// The runtime lost a thread.
    #[error("a background task ended early")]
    Background,
}

/// Looks, asks, and changes progress; says whether it did.
///
/// # Errors
/// Why it can't be done. Nothing was changed then, except where the error says that it may be.
pub async fn resume(config: Config, arguments: ResumeArguments) -> Result<bool, ResumeError> {
    let (topic, partition) =
        (Topic::from(arguments.topic.as_str()), Partition(arguments.partition));
    let config = Arc::new(config);
    let session = Session::connect(&config.database, &config.source.name).await?;
    let stored = Stored::read(&session, &config.source.name, &topic, partition).await?;
    let stored = stored.ok_or_else(|| ResumeError::NeverClaimed {
        source_name: config.source.name.clone(),
        topic: topic.clone(),
        partition,
    })?;
    let (asked, at) = (config.clone(), (topic, partition));
    let next_offset = stored.next_offset;
    let looked = tokio::task::spawn_blocking(move || match arguments.from {
        Some(go_on) => look(&asked, at, go_on),
        None => look_for_readable(&asked, at, next_offset),
    });
    let decided = looked.await.map_err(|_| ResumeError::Background)??;
    let plan = Plan { source: config.source.name.clone(), stored, decided };
    say(&plan.to_string());
    if !(arguments.yes || asked_and_confirmed()) {
        say("nothing was changed");
        return Ok(false);
    }
    progress::change(&session, &plan).await?;
    say("progress is changed; a running writer goes on from there by itself");
    Ok(true)
}

/// Where a partition is to go on, and the log that this was found in.
#[derive(Debug)]
struct Decided {
    topic: Topic,
    partition: Partition,
    cluster_id: Option<String>,
    log: LogRange,
    next_offset: Offset,
    /// What can't be read before that.
    unreadable: Option<Unreadable>,
}

/// Blocks.
fn look(
    config: &Config,
    (topic, partition): (Topic, Partition),
    go_on: GoOn,
) -> Result<Decided, ResumeError> {
    let consumer = kafka::probe(&config.kafka, reporter()?)?;
    let (cluster_id, surveyed) = look_at(&consumer, config, &topic, partition)?;
    let log = LogRange { low: surveyed.low, high: surveyed.high };
    let next_offset = match go_on {
        GoOn::Earliest => log.low,
        GoOn::Latest => log.high,
        GoOn::At(time) => {
            start::since(&consumer, &config.kafka, surveyed, time.as_millisecond())?.start
        }
        GoOn::Offset(offset) if (log.low..=log.high).contains(&offset) => offset,
        GoOn::Offset(offset) => return Err(ResumeError::OutOfLog { offset, log }),
    };
    Ok(Decided { topic, partition, cluster_id, log, next_offset, unreadable: None })
}

/// Blocks.
fn look_for_readable(
    config: &Config,
    (topic, partition): (Topic, Partition),
    next_offset: Offset,
) -> Result<Decided, ResumeError> {
    let consumer = kafka::probe(&config.kafka, reporter()?)?;
    let (cluster_id, surveyed) = look_at(&consumer, config, &topic, partition)?;
    let log = LogRange { low: surveyed.low, high: surveyed.high };
    let reporter = reporter()?;
    let connect = || kafka::probe(&config.kafka, reporter.clone());
    let found = readable::find(&connect, &topic, partition, next_offset, log)?;
    let unreadable = Some(Unreadable { reason: found.reason });
    Ok(Decided { topic, partition, cluster_id, log, next_offset: found.offset, unreadable })
}

fn look_at(
    consumer: &KafkaConsumer,
    config: &Config,
    topic: &Topic,
    partition: Partition,
) -> Result<(Option<String>, Surveyed), ResumeError> {
    let servers = &config.kafka.bootstrap_servers;
    let missing = || ResumeError::NoPartition(topic.clone(), partition);
    if !partitions(consumer, servers, topic.as_str())?.contains(&partition) {
        return Err(missing());
    }
    let key = BTreeSet::from([(topic.clone(), partition)]);
    let Survey { cluster_id, mut partitions } = survey(consumer, servers, &key)?;
    Ok((cluster_id, partitions.pop().ok_or_else(missing)?))
}

/// To nobody: the command ends soon.
fn reporter() -> Result<Reporter, ResumeError> {
    let metrics = Metrics::new().map_err(|_| ResumeError::Background)?;
    Ok(Reporter::new(Arc::new(metrics), Arc::new(Health::default())))
}

fn asked_and_confirmed() -> bool {
    if !std::io::stdin().is_terminal() {
        say("nobody can be asked here: run it again with --yes to do it");
        return false;
    }
    say("Type yes to do it:");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

/// The exit status tells as much if nobody reads.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
