//! After the commit: tells the broker, counts, and writes the batch's line into the log.

use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use tracing::{info, warn};

use crate::event_batch::{BatchPosition, EventBatch};
use crate::hand_over::Spent;
use crate::kafka::KafkaConsumer;
use crate::merge::MergeAnswer;
use crate::metrics::Metrics;
use crate::reject::Rejected;

/// Time per step of a batch's transaction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steps {
    /// Looking at files, and copying staged ones.
    pub files: Duration,
    /// Begin, slot and COPY.
    pub stage: Duration,
    /// The format's own function.
    pub resolve: Duration,
    /// The merge.
    pub merge: Duration,
    /// Recording dead letters.
    pub dead_letters: Duration,
    /// Recording what it has to say.
    pub outbox: Duration,
    /// COMMIT.
    pub commit: Duration,
}

/// A committed batch.
#[derive(Debug)]
pub struct Committed {
    /// How far each partition got.
    pub positions: Vec<BatchPosition>,
    /// What the merge answered.
    pub answer: MergeAnswer,
    /// What was rejected.
    pub rejected: Rejected,
    /// Time per step.
    pub steps: Steps,
}

/// Counts a committed batch, logs it, and commits its offsets to the broker for lag tools.
pub fn acknowledge(
    consumer: &KafkaConsumer,
    metrics: &Metrics,
    batch: &EventBatch,
    spent: Spent,
    committed: &Committed,
) {
    for position in &committed.positions {
        let timestamp = position.last.as_ref().and_then(|last| last.timestamp_ms);
        metrics.lag.merged(&position.topic, position.partition, position.next_offset, timestamp);
    }
    count(metrics, batch, spent, committed);
    log(metrics, batch, spent, committed);
    if let Err(error) = commit_offsets(consumer, &committed.positions) {
        metrics.offset_commit_failures.inc();
        warn!("commit offsets to the broker: {error}; only lag tools miss them");
    }
}

fn commit_offsets(
    consumer: &KafkaConsumer,
    positions: &[BatchPosition],
) -> Result<(), rdkafka::error::KafkaError> {
    let mut offsets = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        let offset = KafkaOffset::Offset(position.next_offset.0);
        offsets.add_partition_offset(position.topic.as_str(), position.partition.0, offset)?;
    }
    consumer.commit(&offsets, CommitMode::Async)
}

fn count(metrics: &Metrics, batch: &EventBatch, spent: Spent, committed: &Committed) {
    let (events, rejected) = (batch.event_count() as u64, committed.rejected.len() as u64);
    metrics.events.with_label_values(&["merged"]).inc_by(events.saturating_sub(rejected));
    metrics.events.with_label_values(&["rejected"]).inc_by(rejected);
    for (_, reason) in committed.rejected.iter() {
        metrics.rejections.with_label_values(&[reason.sqlstate.as_str()]).inc();
    }
    for target in &committed.answer.targets {
        for (outcome, rows) in [
            ("inserted", target.inserted),
            ("updated", target.updated),
            ("unchanged", target.unchanged),
            ("deleted", target.deleted),
        ] {
            metrics.rows.with_label_values(&[target.relation.as_str(), outcome]).inc_by(rows);
        }
    }
    metrics.merges.with_label_values(&[committed.answer.path.as_str()]).inc();
    metrics.subtransactions.inc_by(committed.answer.subtransactions);
    metrics.batch_events.observe(batch.event_count() as f64);
    metrics.batch_rows.observe(batch.row_count() as f64);
    metrics.batch_bytes.observe(batch.byte_count() as f64);
    let steps = &committed.steps;
    for (step, time) in [
        ("consume", spent.consume),
        ("decode", spent.decode),
        ("files", steps.files),
        ("stage", steps.stage),
        ("resolve", steps.resolve),
        ("merge", steps.merge),
        ("dead_letters", steps.dead_letters),
        ("outbox", steps.outbox),
        ("commit", steps.commit),
    ] {
        metrics.step_seconds.with_label_values(&[step]).observe(time.as_secs_f64());
    }
    for (part, seconds) in &committed.answer.seconds {
        metrics.merge_part_seconds.with_label_values(&[part.as_str()]).observe(*seconds);
    }
}

fn log(metrics: &Metrics, batch: &EventBatch, spent: Spent, committed: &Committed) {
    let next_offsets: Vec<String> = committed
        .positions
        .iter()
        .map(|one| format!("{}/{}:{}", one.topic, one.partition, one.next_offset))
        .collect();
    let millis = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
    let steps = &committed.steps;
    info!(
        events = batch.event_count(),
        rows = batch.row_count(),
        rejected = committed.rejected.len(),
        path = committed.answer.path,
        next_offsets = next_offsets.join(" "),
        lag_offsets = metrics.lag.total_offsets(),
        decode_ms = millis(spent.decode),
        files_ms = millis(steps.files),
        stage_ms = millis(steps.stage),
        resolve_ms = millis(steps.resolve),
        merge_ms = millis(steps.merge),
        dead_letters_ms = millis(steps.dead_letters),
        commit_ms = millis(steps.commit),
        "merged batch"
    );
}
