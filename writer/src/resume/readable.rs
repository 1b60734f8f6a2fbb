//! Finds the first offset that can be read behind what can't.
//!
//! Each offset is tried with a consumer of its own: once librdkafka has met a damaged batch, it does
//! not find the next one by itself, and assigning one consumer again and again makes it abort
//! (`rd_kafka_assignment_partition_stopped`, in 2.12).

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use crate::consume::{Verdict, verdict};
use crate::kafka::KafkaConsumer;
use crate::log_check::LogRange;
use crate::position::{Offset, Partition, Topic};

/// How long one offset may take to be read, or not.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many dead letters at most: each takes a connection to look for.
const MOST: i64 = 10_000;

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

/// Tries one offset after the other, from `next_offset` on, with consumers that `connect` makes.
/// Blocks, within bounds.
pub(super) fn find(
    connect: &dyn Fn() -> KafkaResult<KafkaConsumer>,
    topic: &Topic,
    partition: Partition,
    next_offset: Offset,
    log: LogRange,
) -> Result<Found, NotSkipped> {
    if next_offset < log.low || next_offset >= log.high {
        return Err(NotSkipped::OutOfLog { next_offset, log });
    }
    let reader = Reader { connect, topic, partition };
    let damage = reader.damage_at(next_offset)?;
    let damage = damage.ok_or(NotSkipped::Readable(next_offset))?;
    let mut offset = next_offset.next();
    while offset < log.high && reader.damage_at(offset)?.is_some() {
        offset = offset.next();
        if offset.0 - next_offset.0 > MOST {
            return Err(NotSkipped::TooMany(next_offset));
        }
    }
    let reason = format!("read {topic}/{partition} at offset {next_offset}: {damage}");
    Ok(Found { offset, reason })
}

/// Reads single records of a partition.
struct Reader<'a> {
    connect: &'a dyn Fn() -> KafkaResult<KafkaConsumer>,
    topic: &'a Topic,
    partition: Partition,
}

impl Reader<'_> {
    /// The error with which reading at this offset fails; none if it does not.
    fn damage_at(&self, offset: Offset) -> Result<Option<KafkaError>, NotSkipped> {
        let deadline = Instant::now() + PATIENCE;
        let mut other = "nothing was answered".to_owned();
        while Instant::now() < deadline {
            let consumer = self
                .assigned(offset)
                .map_err(|error| NotSkipped::NoAnswer { offset, reason: error.to_string() })?;
            match read(&consumer, offset, deadline) {
                Ok(damage) => return Ok(damage),
                Err(reason) => other = reason,
            }
        }
        Err(NotSkipped::NoAnswer { offset, reason: other })
    }

    fn assigned(&self, offset: Offset) -> KafkaResult<KafkaConsumer> {
        let consumer = (self.connect)()?;
        let mut alone = TopicPartitionList::new();
        let offset = KafkaOffset::Offset(offset.0);
        alone.add_partition_offset(self.topic.as_str(), self.partition.0, offset)?;
        consumer.assign(&alone)?;
        Ok(consumer)
    }
}

/// The error with which reading at this offset fails, none if it does not; or one that says nothing
/// of the record.
fn read(
    consumer: &KafkaConsumer,
    offset: Offset,
    deadline: Instant,
) -> Result<Option<KafkaError>, String> {
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) if message.offset() < offset.0 => {}
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) if verdict(&error) == Verdict::StopPartition => {
                return Ok(Some(error));
            }
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
    Err("nothing was answered".to_owned())
}
