//! Finds the first record that can be read behind what can't.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use crate::consume::{Verdict, verdict};
use crate::kafka::KafkaConsumer;
use crate::log_check::LogRange;
use crate::position::{Offset, Partition, Topic};

/// So much that several damaged batches and one that can be read come in one answer: the client
/// asks for a damaged one again, and does not go past it, if nothing else comes with it.
pub(super) const FETCH: u64 = 16 << 20;

/// How long to look.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the same answer comes before it is taken for all there is.
const SAME_ANSWERS: u32 = 5;

/// So many dead letters at most.
const MOST: i64 = 1_000_000;

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
    #[error("offset {next_offset} is not in the log, which has {} to {}; choose an offset with --from", log.low, log.high)]
    OutOfLog {
        /// Where progress is.
        next_offset: Offset,
        /// The log.
        log: LogRange,
    },
    /// Too many for dead letters.
    #[error(
        "{0} offsets can't be read, too many to keep as dead letters; choose an offset with --from"
    )]
    TooMany(i64),
    /// The broker does not say.
    #[error("the broker gives neither a record nor an error within 10 s: {0}")]
    NoAnswer(String),
}

/// The first offset that can be read, and why those before it can't.
#[derive(Debug)]
pub(super) struct Found {
    pub offset: Offset,
    pub reason: String,
}

/// Reads from `next_offset` on until a record comes. Blocks, within a bound.
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
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic.as_str(), partition.0, KafkaOffset::Offset(next_offset.0))
        .and_then(|()| consumer.assign(&list))
        .map_err(|error| NotSkipped::NoAnswer(error.to_string()))?;
    let (offset, error) = read(consumer, next_offset, log.high)?;
    let count = offset.0 - next_offset.0;
    if count > MOST {
        return Err(NotSkipped::TooMany(count));
    }
    Ok(Found {
        offset,
        reason: format!("read {topic}/{partition} at offset {next_offset}: {error}"),
    })
}

fn read(
    consumer: &KafkaConsumer,
    next_offset: Offset,
    high: Offset,
) -> Result<(Offset, KafkaError), NotSkipped> {
    let deadline = Instant::now() + PATIENCE;
    let (mut damage, mut other) = (None, "nothing was answered".to_owned());
    let mut answers = 0;
    while Instant::now() < deadline {
        let readable = match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Ok(message)) => Offset(message.offset()),
            Some(Err(KafkaError::PartitionEOF(_))) => high,
            Some(Err(error)) if verdict(&error) == Verdict::StopPartition => {
                damage = Some(error);
                answers += 1;
                if answers < SAME_ANSWERS {
                    continue;
                }
                high
            }
            Some(Err(error)) => {
                other = error.to_string();
                continue;
            }
        };
        return match damage {
            Some(error) => Ok((readable, error)),
            None => Err(NotSkipped::Readable(next_offset)),
        };
    }
    Err(NotSkipped::NoAnswer(other))
}
