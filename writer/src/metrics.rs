//! The metrics. Names are constants with their units; `METRICS.md` says what each means.

use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder, exponential_buckets,
};

use crate::lag::Lag;

/// Consumer lag in offsets, by topic and partition.
pub const CONSUMER_LAG_OFFSETS: &str = "forebay_consumer_lag_offsets";
/// Consumer lag in seconds, by topic and partition.
pub const CONSUMER_LAG_SECONDS: &str = "forebay_consumer_lag_seconds";
/// The committed offset to read next, by topic and partition.
pub const NEXT_OFFSET: &str = "forebay_next_offset";
/// Events by outcome.
pub const EVENTS_TOTAL: &str = "forebay_events_total";
/// Rows by target and outcome.
pub const ROWS_TOTAL: &str = "forebay_rows_total";
/// Rejected events by SQLSTATE.
pub const REJECTIONS_TOTAL: &str = "forebay_rejections_total";
/// Dead letters deleted after their retention time.
pub const DEAD_LETTERS_EXPIRED_TOTAL: &str = "forebay_dead_letters_expired_total";
/// Events per merged batch.
pub const BATCH_EVENTS: &str = "forebay_batch_events";
/// Rows per merged batch.
pub const BATCH_ROWS: &str = "forebay_batch_rows";
/// Bytes per merged batch.
pub const BATCH_BYTES: &str = "forebay_batch_bytes";
/// Seconds per step of a batch.
pub const STEP_SECONDS: &str = "forebay_step_seconds";
/// Seconds per part of a merge.
pub const MERGE_PART_SECONDS: &str = "forebay_merge_part_seconds";
/// Merges by the path that they took.
pub const MERGES_TOTAL: &str = "forebay_merges_total";
/// Subtransactions that merges needed.
pub const SUBTRANSACTIONS_TOTAL: &str = "forebay_merge_subtransactions_total";
/// Batches tried again on the same session, by SQLSTATE.
pub const RETRIES_TOTAL: &str = "forebay_retries_total";
/// Writers of the source that live and can take partitions.
pub const LIVE_WRITERS: &str = "forebay_live_writers";
/// Partitions that this process owns.
pub const OWNED_PARTITIONS: &str = "forebay_owned_partitions";
/// Partitions that this process began to own.
pub const TAKE_OVERS_TOTAL: &str = "forebay_take_overs_total";
/// Partitions that this process gave back.
pub const GIVE_BACKS_TOTAL: &str = "forebay_give_backs_total";
/// Claims that succeeded.
pub const CLAIMS_TOTAL: &str = "forebay_claims_total";
/// Claims that found progress below what was committed.
pub const REWINDS_TOTAL: &str = "forebay_rewinds_total";
/// Merges that were fenced off.
pub const FENCED_MERGES_TOTAL: &str = "forebay_fenced_merges_total";
/// Commits of unknown outcome.
pub const UNKNOWN_COMMITS_TOTAL: &str = "forebay_unknown_commits_total";
/// Partitions that are stopped until a person acts, by topic and partition.
pub const STOPPED_PARTITIONS: &str = "forebay_stopped_partitions";
/// Rows of the outbox that wait to be published.
pub const OUTBOX_WAITING: &str = "forebay_outbox_waiting";
/// The age of the oldest of them.
pub const OUTBOX_OLDEST_SECONDS: &str = "forebay_outbox_oldest_seconds";
/// Messages of the outbox that the broker has acknowledged.
pub const OUTBOX_PUBLISHED_TOTAL: &str = "forebay_outbox_published_total";
/// Tries to publish that failed, by what failed.
pub const OUTBOX_FAILURES_TOTAL: &str = "forebay_outbox_failures_total";
/// Looks at files of datasets, by outcome.
pub const FILES_CHECKED_TOTAL: &str = "forebay_files_checked_total";
/// Staged files that were copied to their final places.
pub const FILES_COPIED_TOTAL: &str = "forebay_files_copied_total";
/// Bytes of these.
pub const FILES_COPIED_BYTES_TOTAL: &str = "forebay_files_copied_bytes_total";
/// Staged files that were removed after their batch was committed.
pub const FILES_REMOVED_TOTAL: &str = "forebay_files_removed_total";
/// Times that the store of the files failed, by step.
pub const FILE_FAILURES_TOTAL: &str = "forebay_file_failures_total";
/// Bytes that are buffered.
pub const BUFFERED_BYTES: &str = "forebay_buffered_bytes";
/// Errors of the consumer, by librdkafka's name.
pub const CONSUMER_ERRORS_TOTAL: &str = "forebay_consumer_errors_total";
/// Offsets that were passed without a record.
pub const OFFSETS_WITHOUT_RECORD_TOTAL: &str = "forebay_offsets_without_record_total";
/// Offset commits to the broker that failed.
pub const OFFSET_COMMIT_FAILURES_TOTAL: &str = "forebay_offset_commit_failures_total";

/// All metrics of a writer.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Where the partitions stand; turned into gauges when they are asked for.
    pub lag: Lag,
    lag_offsets: IntGaugeVec,
    lag_seconds: GaugeVec,
    next_offset: IntGaugeVec,
    /// Labels: outcome (`merged`, `rejected`).
    pub events: IntCounterVec,
    /// Labels: target, outcome (`inserted`, `updated`, `unchanged`, `deleted`).
    pub rows: IntCounterVec,
    /// Labels: sqlstate.
    pub rejections: IntCounterVec,
    /// Dead letters deleted after their retention time.
    pub dead_letters_expired: IntCounter,
    /// Events per merged batch.
    pub batch_events: Histogram,
    /// Rows per merged batch.
    pub batch_rows: Histogram,
    /// Bytes per merged batch.
    pub batch_bytes: Histogram,
    /// Labels: step.
    pub step_seconds: HistogramVec,
    /// Labels: part (`count`, `look`, `write`).
    pub merge_part_seconds: HistogramVec,
    /// Labels: path (`set`, `walk`).
    pub merges: IntCounterVec,
    /// Subtransactions of merges.
    pub subtransactions: IntCounter,
    /// Labels: sqlstate.
    pub retries: IntCounterVec,
    /// Writers of the source.
    pub live_writers: IntGauge,
    /// Partitions owned.
    pub owned_partitions: IntGauge,
    /// Partitions taken.
    pub take_overs: IntCounter,
    /// Partitions given back.
    pub give_backs: IntCounter,
    /// Successful claims.
    pub claims: IntCounter,
    /// Progress that went back.
    pub rewinds: IntCounter,
    /// Fenced merges.
    pub fenced_merges: IntCounter,
    /// Commits of unknown outcome.
    pub unknown_commits: IntCounter,
    /// Labels: topic, partition. 1 while it is stopped.
    pub stopped_partitions: IntGaugeVec,
    /// Rows of the outbox that wait.
    pub outbox_waiting: IntGauge,
    /// Age of the oldest of them, in seconds.
    pub outbox_oldest_seconds: Gauge,
    /// Published messages.
    pub outbox_published: IntCounter,
    /// Labels: cause (`database`, `replica`, `broker`, `file`).
    pub outbox_failures: IntCounterVec,
    /// Labels: outcome (`present`, `staged`, `missing`, `rejected`).
    pub files_checked: IntCounterVec,
    /// Copied files.
    pub files_copied: IntCounter,
    /// Copied bytes.
    pub files_copied_bytes: IntCounter,
    /// Removed staged files.
    pub files_removed: IntCounter,
    /// Labels: step (`look`, `copy`, `remove`).
    pub file_failures: IntCounterVec,
    /// Bytes of the open batch and the one in flight.
    pub buffered_bytes: IntGauge,
    /// Labels: code.
    pub consumer_errors: IntCounterVec,
    /// Offsets without a record.
    pub offsets_without_record: IntCounter,
    /// Failed offset commits.
    pub offset_commit_failures: IntCounter,
}

impl Metrics {
    /// A registry with every metric in it.
    ///
    /// # Errors
    /// None but a name that is malformed or taken, which a test rules out.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let add = Adder(&registry);
        let partition = &["topic", "partition"];
        let metrics = Self {
            lag: Lag::default(),
            lag_offsets: add.int_gauges(
                CONSUMER_LAG_OFFSETS,
                "Read-committed end of the partition minus the offset to merge next",
                partition,
            )?,
            lag_seconds: add.gauges(
                CONSUMER_LAG_SECONDS,
                "Age of the last merged record while there is more to merge, else 0",
                partition,
            )?,
            next_offset: add.int_gauges(NEXT_OFFSET, "Offset to merge next", partition)?,
            events: add.counters(EVENTS_TOTAL, "Events by outcome", &["outcome"])?,
            rows: add.counters(ROWS_TOTAL, "Merged rows", &["target", "outcome"])?,
            rejections: add.counters(REJECTIONS_TOTAL, "Rejected events", &["sqlstate"])?,
            dead_letters_expired: add.counter(
                DEAD_LETTERS_EXPIRED_TOTAL,
                "Dead letters deleted after their retention time",
            )?,
            batch_events: add.histogram(BATCH_EVENTS, "Events per batch", 1.0, 4.0, 11)?,
            batch_rows: add.histogram(BATCH_ROWS, "Rows per batch", 1.0, 4.0, 11)?,
            batch_bytes: add.histogram(BATCH_BYTES, "Bytes per batch", 1024.0, 4.0, 11)?,
            step_seconds: add.histograms(STEP_SECONDS, "Time per step of a batch", "step")?,
            merge_part_seconds: add.histograms(
                MERGE_PART_SECONDS,
                "Time per part of a merge",
                "part",
            )?,
            merges: add.counters(MERGES_TOTAL, "Merges by path", &["path"])?,
            subtransactions: add.counter(SUBTRANSACTIONS_TOTAL, "Subtransactions of merges")?,
            retries: add.counters(RETRIES_TOTAL, "Batches tried again", &["sqlstate"])?,
            live_writers: add.int_gauge(LIVE_WRITERS, "Live writers of the source")?,
            owned_partitions: add
                .int_gauge(OWNED_PARTITIONS, "Partitions that this process owns")?,
            take_overs: add
                .counter(TAKE_OVERS_TOTAL, "Partitions that this process began to own")?,
            give_backs: add.counter(GIVE_BACKS_TOTAL, "Partitions that this process gave back")?,
            claims: add.counter(CLAIMS_TOTAL, "Successful claims")?,
            rewinds: add.counter(REWINDS_TOTAL, "Partitions whose stored progress went back")?,
            fenced_merges: add.counter(FENCED_MERGES_TOTAL, "Merges that were fenced off")?,
            unknown_commits: add.counter(UNKNOWN_COMMITS_TOTAL, "Commits of unknown outcome")?,
            stopped_partitions: add.int_gauges(
                STOPPED_PARTITIONS,
                "1 for each partition that is stopped until a person acts",
                partition,
            )?,
            outbox_waiting: add
                .int_gauge(OUTBOX_WAITING, "Rows of the outbox that wait to be published")?,
            outbox_oldest_seconds: add.add(Gauge::new(
                OUTBOX_OLDEST_SECONDS,
                "Age of the oldest row of the outbox that waits to be published",
            )?)?,
            outbox_published: add.counter(
                OUTBOX_PUBLISHED_TOTAL,
                "Messages of the outbox that the broker has acknowledged",
            )?,
            outbox_failures: add.counters(
                OUTBOX_FAILURES_TOTAL,
                "Tries to publish the outbox that failed",
                &["cause"],
            )?,
            files_checked: add.counters(
                FILES_CHECKED_TOTAL,
                "Looks at files that events name",
                &["outcome"],
            )?,
            files_copied: add.counter(
                FILES_COPIED_TOTAL,
                "Staged files that were copied to their final places",
            )?,
            files_copied_bytes: add.counter(FILES_COPIED_BYTES_TOTAL, "Bytes of copied files")?,
            files_removed: add.counter(
                FILES_REMOVED_TOTAL,
                "Staged files that were removed after their batch was committed",
            )?,
            file_failures: add.counters(
                FILE_FAILURES_TOTAL,
                "Times that the store of the files failed",
                &["step"],
            )?,
            buffered_bytes: add.int_gauge(BUFFERED_BYTES, "Bytes read and not yet committed")?,
            consumer_errors: add.counters(
                CONSUMER_ERRORS_TOTAL,
                "Errors of the Kafka consumer",
                &["code"],
            )?,
            offsets_without_record: add.counter(
                OFFSETS_WITHOUT_RECORD_TOTAL,
                "Offsets that were passed without a record",
            )?,
            offset_commit_failures: add.counter(
                OFFSET_COMMIT_FAILURES_TOTAL,
                "Failed commits of offsets to the broker, which are advisory",
            )?,
            registry: registry.clone(),
        };
        for outcome in ["merged", "rejected"] {
            metrics.events.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    /// All metrics in Prometheus's text format.
    ///
    /// # Errors
    /// If the encoder refuses a metric.
    pub fn render(&self) -> prometheus::Result<String> {
        self.show_lag(jiff::Timestamp::now().as_millisecond());
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn show_lag(&self, now_ms: i64) {
        self.lag_offsets.reset();
        self.lag_seconds.reset();
        self.next_offset.reset();
        for ((topic, partition), standing) in self.lag.standings() {
            let partition = partition.to_string();
            let labels = [topic.as_str(), partition.as_str()];
            self.lag_offsets.with_label_values(&labels).set(standing.offsets());
            self.next_offset.with_label_values(&labels).set(standing.next_offset.0);
            if let Some(seconds) = standing.seconds(now_ms) {
                self.lag_seconds.with_label_values(&labels).set(seconds);
            }
        }
    }
}

/// Makes a metric and registers it.
struct Adder<'a>(&'a Registry);

impl Adder<'_> {
    fn add<T: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: T,
    ) -> prometheus::Result<T> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::new(name, help)?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn int_gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }

    fn int_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.add(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        first: f64,
        factor: f64,
        count: usize,
    ) -> prometheus::Result<Histogram> {
        let buckets = exponential_buckets(first, factor, count)?;
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?)
    }

    fn histograms(&self, name: &str, help: &str, label: &str) -> prometheus::Result<HistogramVec> {
        let buckets = exponential_buckets(0.0001, 4.0, 10)?;
        let options = HistogramOpts::new(name, help).buckets(buckets);
        self.add(HistogramVec::new(options, &[label])?)
    }
}

#[cfg(test)]
mod tests {
    use super::{CONSUMER_LAG_OFFSETS, CONSUMER_LAG_SECONDS, Metrics};
    use crate::lag::Standing;
    use crate::position::{Offset, Partition, Topic};

    #[test]
    fn every_metric_is_explained() {
        const EXPLAINED: &str = include_str!("../METRICS.md");
        const NAMES: &str = include_str!("metrics.rs");
        let constants = NAMES.lines().filter_map(|line| line.strip_prefix("pub const "));
        let names: Vec<&str> = constants.filter_map(|line| line.split('"').nth(1)).collect();
        assert!(names.len() >= 20);
        for name in names {
            assert!(EXPLAINED.contains(&format!("| `{name}` |")), "{name} is not in METRICS.md");
        }
    }

    #[test]
    fn shows_the_lag_of_claimed_partitions() {
        let metrics = Metrics::new().unwrap();
        let standing = Standing { next_offset: Offset(2), end: Offset(5), last_timestamp_ms: None };
        metrics.lag.claimed(0, [((Topic::from("t"), Partition(3)), standing)]);
        let text = metrics.render().unwrap();
        let line = format!("{CONSUMER_LAG_OFFSETS}{{partition=\"3\",topic=\"t\"}} 3");
        assert!(text.contains(&line), "{text}");
        assert!(!text.contains(&format!("{CONSUMER_LAG_SECONDS}{{")));
        metrics.lag.claimed(0, []);
        assert!(!metrics.render().unwrap().contains(&line));
    }
}
