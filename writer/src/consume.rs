//! Reads records and hands them over, on a thread of its own.
//!
//! Each claim has a consumer of its own, assigned once, so no message of an earlier assignment can
//! ever arrive.

mod culprit;
mod expected;
mod header;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use tracing::{debug, warn};

use crate::config::KafkaConfig;
use crate::hand_over::{HandOver, Stopped};
use crate::kafka::{ANSWER_TIMEOUT, KafkaConsumer, code_name};
use crate::log_check::LogFault;
use crate::metrics::Metrics;
use crate::position::{Offset, Partition};
use crate::record::Record;

pub use expected::Expected;
pub use verdict::{ConsumeError, Verdict, verdict};

/// How long one poll waits; so long it can take until a stop is noticed.
const POLL: Duration = Duration::from_millis(100);

/// A consumer's thread.
struct Consuming {
    config: KafkaConfig,
    consumer: Arc<KafkaConsumer>,
    hand_over: Arc<HandOver<ConsumeError>>,
    metrics: Arc<Metrics>,
    expected: Vec<Expected>,
    /// Index of the partition of the last record: records come in runs.
    latest: usize,
}

/// Why a consumer ends.
enum End {
    /// It was told to.
    Told,
    /// It can't go on.
    Failed(ConsumeError),
}

impl From<Stopped> for End {
    fn from(_: Stopped) -> Self {
        Self::Told
    }
}

/// Assigns partitions at their stored offsets, or at the last merged record where that is to be
/// known again, and starts to read.
///
/// # Errors
/// If librdkafka refuses the assignment, or the system the thread.
pub fn start(
    config: KafkaConfig,
    consumer: Arc<KafkaConsumer>,
    expected: Vec<Expected>,
    hand_over: Arc<HandOver<ConsumeError>>,
    metrics: Arc<Metrics>,
) -> Result<std::thread::JoinHandle<()>, ConsumeError> {
    let assignment = assignment(&expected).and_then(|list| consumer.assign(&list));
    assignment.map_err(|error| ConsumeError::ClaimAgain(format!("assign partitions: {error}")))?;
    let mut consuming = Consuming { config, consumer, hand_over, metrics, expected, latest: 0 };
    std::thread::Builder::new()
        .name("consume".to_owned())
        .spawn(move || {
            let end = EndOnDrop(consuming.hand_over.clone());
            let failure = match consuming.run() {
                End::Told => None,
                End::Failed(failure) => Some(failure),
            };
            end.0.end(failure);
        })
        .map_err(|error| ConsumeError::ClaimAgain(format!("start the consumer's thread: {error}")))
}

fn assignment(expected: &[Expected]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(expected.len());
    for one in expected {
        let offset = KafkaOffset::Offset(one.first_offset().0);
        list.add_partition_offset(one.topic.as_str(), one.partition.0, offset)?;
    }
    Ok(list)
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
    /// Reads until it is told to stop or must.
    fn run(&mut self) -> End {
        let consumer = self.consumer.clone();
        let mut waiting_since = Instant::now();
        while !self.hand_over.is_stopped() {
            match consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => match self.take(&message, waiting_since) {
                    Ok(decoded) => waiting_since = decoded,
                    Err(end) => return end,
                },
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.drained(Partition(partition));
                }
                Some(Err(error)) => {
                    if let Err(failure) = self.judge(&error) {
                        return End::Failed(failure);
                    }
                }
            }
        }
        End::Told
    }

    /// Whether reading goes on after an error.
    fn judge(&self, error: &KafkaError) -> Result<(), ConsumeError> {
        self.metrics.consumer_errors.with_label_values(&[code_name(error)]).inc();
        match verdict(error) {
            Verdict::GoOn => {
                debug!("kafka: {error}");
                Ok(())
            }
            Verdict::ClaimAgain => Err(ConsumeError::ClaimAgain(format!("read: {error}"))),
            Verdict::StopPartition => {
                let reporter = self.consumer.context().as_ref().clone();
                Err(culprit::name(&self.config, reporter, &self.expected, error))
            }
        }
    }

    /// Hands a message over, and answers when that was done. Getting it began at `waiting_since`.
    fn take(
        &mut self,
        message: &BorrowedMessage<'_>,
        waiting_since: Instant,
    ) -> Result<Instant, End> {
        let Some(index) = self.find(message.topic(), Partition(message.partition())) else {
            warn!("a record of {}/{} was never asked for", message.topic(), message.partition());
            return Ok(Instant::now());
        };
        let expected = &mut self.expected[index];
        let (topic, partition) = (expected.topic.clone(), expected.partition);
        let record = Record {
            topic: &topic,
            partition,
            offset: Offset(message.offset()),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key(),
            payload: message.payload(),
            headers: Vec::new(),
        };
        let stop = |fault: LogFault| {
            End::Failed(ConsumeError::Partitions(vec![fault.stop(&topic, partition)]))
        };
        if !expected.meet(&record).map_err(stop)? {
            return Ok(Instant::now());
        }
        if record.offset > expected.offset {
            self.metrics.offsets_without_record.inc_by(expected.gap(record.offset));
            check_end(&self.consumer, expected, record.offset)?;
        }
        let headers = message.headers().map(header::readable).unwrap_or_default();
        let record = Record { headers, ..record };
        let decoded = self.hand_over.push(&record, waiting_since)?;
        expected.offset = record.offset.next();
        Ok(decoded)
    }

    /// A partition is read to its end: offsets without a record, such as transaction markers, are
    /// behind the consumer's position by now. The topic is not told, so all that have a partition
    /// of this number are looked at; a position never is ahead of what was handed over otherwise.
    /// If there is only one, all is read that the log had when it was assigned: compaction leaves
    /// ends that no position passes.
    fn drained(&mut self, partition: Partition) {
        let positions = match self.consumer.position() {
            Ok(positions) => positions,
            Err(error) => return debug!("ask for the consumer's position: {error}"),
        };
        let is_it = |one: &&mut Expected| one.partition == partition;
        let is_only_one = self.expected.iter_mut().filter(is_it).count() == 1;
        for expected in self.expected.iter_mut().filter(is_it) {
            let found = positions.find_partition(expected.topic.as_str(), partition.0);
            let position = match found.map(|found| found.offset()) {
                Some(KafkaOffset::Offset(position)) => Offset(position),
                _ => expected.offset,
            };
            let read = if is_only_one { position.max(expected.claimed_end) } else { position };
            if read > expected.offset {
                self.metrics.offsets_without_record.inc_by(expected.gap(read));
                expected.offset = read;
                self.hand_over.advance_to(&expected.topic, partition, read);
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

/// A gap in the offsets is fine, but it can't lead behind the log's end: no checksum covers a
/// batch's first offset.
fn check_end(consumer: &KafkaConsumer, expected: &mut Expected, offset: Offset) -> Result<(), End> {
    if offset < expected.known_end {
        return Ok(());
    }
    let (topic, partition) = (&expected.topic, expected.partition);
    let found = consumer.fetch_watermarks(topic.as_str(), partition.0, ANSWER_TIMEOUT);
    let (_, high) = found.map_err(|error| {
        let message = format!("ask for the end of {topic}/{partition}: {error}");
        End::Failed(ConsumeError::ClaimAgain(message))
    })?;
    if offset >= Offset(high) {
        let stop = LogFault::BeyondEnd { offset, high: Offset(high) }.stop(topic, partition);
        return Err(End::Failed(ConsumeError::Partitions(vec![stop])));
    }
    expected.known_end = Offset(high);
    Ok(())
}
