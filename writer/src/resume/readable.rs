//! Finds the first offset that can be read behind what can't.
//!
//! Each offset is tried with an assignment of its own: once librdkafka has met a damaged batch, it
//! does not find the next one by itself.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use crate::consume::{Verdict, verdict};
use crate::kafka::KafkaConsumer;
use crate::log_check::LogRange;
use crate::position::{Offset, Partition, Topic};

/// How long one offset may take to be read, or not.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many dead letters at most: a few milliseconds each to look for.
const MOST: i64 = 100_000;

/// Why nothing is skipped.
#[derive(Debug, thiserror::Error)]
pub enum NotSkipped {
    /// It can be read.
    #[error(
        "the record at offset {0} can be read: there is nothing to skip. Restart the writer if it \
         has stopped this partition, or choose an offset with --from"
    )]
    Readable(Offset),
    /// The log does not have it.
    #[error(
        "offset {next_offset} is not in the log, which has {} to {}; choose an offset with --from",
        log.low,
        log.high
    )]
    OutOfLog {
        /// Where progress is.
        next_offset: Offset,
        /// The log.
        log: LogRange,
    },
    /// Too many for dead letters.
    #[error("the {MOST} offsets from {0} on can't be read; choose an offset with --from")]
    TooMany(Offset),
    /// The broker does not say.
    #[error("offset {offset} gives neither a record nor an error within 10 s: {reason}")]
    NoAnswer {
        /// What was asked for.
        offset: Offset,
        /// What was answered instead.
        reason: String,
    },
}

/// The first offset that can be read, and why those before it can't.
#[derive(Debug)]
pub(super) struct Found {
    pub offset: Offset,
    pub reason: String,
}

/// Tries one offset after the other, from `next_offset` on. Blocks, within bounds.
pub(super) fn find(
    consumer: &KafkaConsumer,
    topic: &Topic,
    partition: Partition,
    next_offset: Offset,
    log: LogRange,
) -> Result<Found, NotSkipped> {
    if next_offset < log.low || next_offset >= log.high {
        return Err(NotSkipped::OutOfLog { next_offset, log });
    }
    let damage = damage_at(consumer, topic, partition, next_offset)?;
    let damage = damage.ok_or(NotSkipped::Readable(next_offset))?;
    let mut offset = next_offset.next();
    while offset < log.high && damage_at(consumer, topic, partition, offset)?.is_some() {
        offset = offset.next();
        if offset.0 - next_offset.0 > MOST {
            return Err(NotSkipped::TooMany(next_offset));
        }
    }
    let reason = format!("read {topic}/{partition} at offset {next_offset}: {damage}");
    Ok(Found { offset, reason })
}

/// The error with which reading at this offset fails; none if it does not.
fn damage_at(
    consumer: &KafkaConsumer,
    topic: &Topic,
    partition: Partition,
    offset: Offset,
) -> Result<Option<KafkaError>, NotSkipped> {
    let no_answer = |reason: String| NotSkipped::NoAnswer { offset, reason };
    let assign = || {
        let mut alone = TopicPartitionList::new();
        alone
            .add_partition_offset(topic.as_str(), partition.0, KafkaOffset::Offset(offset.0))
            .and_then(|()| consumer.assign(&alone))
            .map_err(|error| no_answer(error.to_string()))
    };
    assign()?;
    let deadline = Instant::now() + PATIENCE;
    let mut other = "nothing was answered".to_owned();
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) if message.offset() < offset.0 => {}
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) if verdict(&error) == Verdict::StopPartition => {
                return Ok(Some(error));
            }
            // That of the offset before may still come. After some, nothing is read any more.
            Some(Err(error)) => {
                other = error.to_string();
                assign()?;
            }
        }
    }
    Err(no_answer(other))
}
