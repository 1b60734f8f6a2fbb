//! Reads records and hands them over, on a thread of its own.
//!
//! Each claim has a consumer of its own, assigned once, so no message of an earlier assignment can
//! ever arrive.

mod culprit;
mod header;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::Offset as KafkaOffset;
use tracing::{debug, warn};

use crate::claim::Claim;
use crate::hand_over::{HandOver, Stopped};
use crate::kafka::{KafkaConsumer, code_name};
use crate::metrics::Metrics;
use crate::position::{Offset, Partition};
use crate::record::Record;

pub use culprit::Expected;
pub use verdict::{ConsumeError, Verdict, verdict};

/// How long one poll waits; so long it can take until a stop is noticed.
const POLL: Duration = Duration::from_millis(100);

/// A consumer's thread.
pub struct Consuming {
    consumer: Arc<KafkaConsumer>,
    hand_over: Arc<HandOver<ConsumeError>>,
    metrics: Arc<Metrics>,
    expected: Vec<Expected>,
    /// Index of the partition of the last record: records come in runs.
    latest: usize,
}

/// Assigns the claimed partitions at their stored offsets, and starts to read.
///
/// # Errors
/// If librdkafka refuses the assignment, or the system the thread.
pub fn start(
    consumer: Arc<KafkaConsumer>,
    claim: &Claim,
    hand_over: Arc<HandOver<ConsumeError>>,
    metrics: Arc<Metrics>,
) -> Result<std::thread::JoinHandle<()>, ConsumeError> {
    let assignment = claim.assignment().and_then(|list| consumer.assign(&list));
    assignment.map_err(|error| ConsumeError::ClaimAgain(format!("assign partitions: {error}")))?;
    let expected = claim
        .partitions()
        .map(|((topic, partition), claimed)| Expected {
            topic: topic.clone(),
            partition: *partition,
            offset: claimed.next_offset,
        })
        .collect();
    let mut consuming = Consuming { consumer, hand_over, metrics, expected, latest: 0 };
    std::thread::Builder::new()
        .name("consume".to_owned())
        .spawn(move || {
            let end = EndOnDrop(consuming.hand_over.clone());
            let failure = consuming.run();
            end.0.end(failure);
        })
        .map_err(|error| ConsumeError::ClaimAgain(format!("start the consumer's thread: {error}")))
}

/// Says that the consumer ended even if its thread panics.
struct EndOnDrop(Arc<HandOver<ConsumeError>>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(Some(ConsumeError::Stop(
                "the consumer's thread panicked; that is a bug in the writer".to_owned(),
            )));
        }
    }
}

impl Consuming {
    /// Reads until it is told to stop (none) or must.
    fn run(&mut self) -> Option<ConsumeError> {
        let consumer = self.consumer.clone();
        let mut waited = Instant::now();
        while !self.hand_over.is_stopped() {
            match consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    let consume = waited.elapsed();
                    if self.hand_over_message(&message, consume) == Err(Stopped) {
                        return None;
                    }
                    waited = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.drained(Partition(partition));
                }
                Some(Err(error)) => {
                    self.metrics.consumer_errors.with_label_values(&[code_name(&error)]).inc();
                    match verdict(&error) {
                        Verdict::GoOn => debug!("kafka: {error}"),
                        Verdict::ClaimAgain => {
                            return Some(ConsumeError::ClaimAgain(format!("read: {error}")));
                        }
                        Verdict::Stop => {
                            return Some(culprit::name(&consumer, &self.expected, &error));
                        }
                    }
                }
            }
        }
        None
    }

    fn hand_over_message(
        &mut self,
        message: &BorrowedMessage<'_>,
        consume: Duration,
    ) -> Result<(), Stopped> {
        let Some(index) = self.find(message.topic(), Partition(message.partition())) else {
            warn!("a record of {}/{} was never asked for", message.topic(), message.partition());
            return Ok(());
        };
        let expected = &mut self.expected[index];
        let offset = Offset(message.offset());
        if offset < expected.offset {
            return Ok(());
        }
        let record = Record {
            topic: &expected.topic,
            partition: expected.partition,
            offset,
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key(),
            payload: message.payload(),
            headers: message.headers().map(header::readable).unwrap_or_default(),
        };
        self.hand_over.push(&record, consume)?;
        expected.offset = offset.next();
        Ok(())
    }

    /// A partition is read to its end: offsets without a record, such as transaction markers, are
    /// behind the consumer's position by now. The topic is not told, so all that have a partition
    /// of this number are looked at; a position never is ahead of what was handed over otherwise.
    fn drained(&mut self, partition: Partition) {
        let positions = match self.consumer.position() {
            Ok(positions) => positions,
            Err(error) => return debug!("ask for the consumer's position: {error}"),
        };
        for expected in self.expected.iter_mut().filter(|one| one.partition == partition) {
            let found = positions.find_partition(expected.topic.as_str(), partition.0);
            if let Some(KafkaOffset::Offset(position)) = found.map(|found| found.offset())
                && Offset(position) > expected.offset
            {
                expected.offset = Offset(position);
                self.hand_over.advance_to(&expected.topic, partition, expected.offset);
            }
        }
    }

    fn find(&mut self, topic: &str, partition: Partition) -> Option<usize> {
        let is_it = |one: &Expected| one.partition == partition && one.topic.as_str() == topic;
        if !self.expected.get(self.latest).is_some_and(is_it) {
            self.latest = self.expected.iter().position(is_it)?;
        }
        Some(self.latest)
    }
}
