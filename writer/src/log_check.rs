//! Whether a partition's log is the one that progress was written for.
//!
//! Pure decisions, made before records are handed on. A log that was cut off, removed, or made
//! anew is not read on as if nothing had happened: its partition stops, and a person decides.

use crate::event_batch::LastRecord;
use crate::position::{Offset, Partition, Topic};
use crate::record::Record;
use crate::record_hash::record_hash;
use crate::stopped_partition::PartitionStop;

/// What the broker says of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// The first offset that still exists.
    pub low: Offset,
    /// The read-committed end.
    pub high: Offset,
}

/// Why a log is not the one that progress was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// Records between progress and the log's begin are gone.
    #[error(
        "progress is at offset {next_offset}, but the log begins at {low}: retention has removed \
         records that were never merged"
    )]
    BeginsLater {
        /// The stored offset.
        next_offset: Offset,
        /// The log's first offset.
        low: Offset,
    },
    /// The log ends before what was merged already.
    #[error(
        "progress is at offset {next_offset}, but the log ends at {high}: it was truncated, or the \
         topic was deleted and made anew"
    )]
    EndsEarlier {
        /// The stored offset.
        next_offset: Offset,
        /// The log's end.
        high: Offset,
    },
    /// Another record stands where the last merged one stood.
    #[error(
        "the record at offset {last_offset} is not the one that was merged from there: the topic \
         was deleted and made anew, or its log was truncated and has grown since"
    )]
    OtherRecord {
        /// Where it stands.
        last_offset: Offset,
    },
    /// A record's offset is one that the log does not reach.
    #[error(
        "a record says that it stands at offset {offset}, but the log ends at {high}: the broker's \
         log is damaged"
    )]
    BeyondEnd {
        /// What the record says.
        offset: Offset,
        /// The log's end.
        high: Offset,
    },
}

/// Compares a stored offset with the log.
///
/// # Errors
/// If the log can't have it. An offset at the log's end is fine, also of a log that is empty: a
/// drained partition has been advanced past what has no record.
pub fn check_range(next_offset: Offset, log: LogRange) -> Result<(), LogFault> {
    let LogRange { low, high } = log;
    if next_offset < low {
        Err(LogFault::BeginsLater { next_offset, low })
    } else if next_offset > high {
        Err(LogFault::EndsEarlier { next_offset, high })
    } else {
        Ok(())
    }
}

/// Compares the first record from the last merged one's offset on with what progress keeps of that.
/// A later one says nothing: compaction may have removed the last merged one.
///
/// # Errors
/// If another record stands there.
pub fn check_record(last: &LastRecord, found: &Record<'_>) -> Result<(), LogFault> {
    let is_same = || {
        found.timestamp_ms == last.timestamp_ms
            && record_hash(found.key, found.payload) == last.hash
    };
    if found.offset != last.offset || is_same() {
        Ok(())
    } else {
        Err(LogFault::OtherRecord { last_offset: last.offset })
    }
}

impl LogFault {
    /// The stop of a partition, with what a person can do.
    pub fn stop(self, topic: &Topic, partition: Partition) -> PartitionStop {
        let advice = match self {
            Self::BeginsLater { low, .. } => format!(
                "restore them, or accept the loss and go on at offset {low} by `{}`",
                resume_command(topic, partition, "--from earliest")
            ),
            Self::EndsEarlier { .. } | Self::OtherRecord { .. } => format!(
                "find out which of its records the tables have; then read the log from its begin \
                 by `{}`, or name another offset",
                resume_command(topic, partition, "--from earliest")
            ),
            Self::BeyondEnd { .. } => damage_advice(topic, partition),
        };
        let message = format!("{self}. Nothing is skipped or repeated by itself: {advice}");
        PartitionStop { topic: topic.clone(), partition, message }
    }
}

/// What to do about a log that can't be read.
pub fn damage_advice(topic: &Topic, partition: Partition) -> String {
    format!(
        "restore that segment from another replica of the partition and restart the writer, or \
         keep what can't be read as dead letters without payload and go on behind it by `{}`",
        resume_command(topic, partition, "--skip-unreadable")
    )
}

/// The command that lets a stopped partition go on.
pub fn resume_command(topic: &Topic, partition: Partition, from: &str) -> String {
    format!("forebay resume --config FILE --topic {topic} --partition {partition} {from}")
}

#[cfg(test)]
mod tests {
    use super::{LogFault, LogRange, check_range, check_record};
    use crate::event_batch::LastRecord;
    use crate::position::{Offset, Partition, Topic};
    use crate::record::Record;
    use crate::record_hash::record_hash;

    #[test]
    fn an_offset_is_in_the_log_or_at_its_end() {
        let judge = |next_offset, low, high| {
            check_range(Offset(next_offset), LogRange { low: Offset(low), high: Offset(high) })
        };
        for (next_offset, low, high) in [(0, 0, 0), (5, 5, 5), (5, 5, 9), (7, 5, 9), (9, 5, 9)] {
            assert_eq!(judge(next_offset, low, high), Ok(()), "{next_offset} in {low}..{high}");
        }
        for (next_offset, low, high) in [(4, 5, 9), (0, 1, 1)] {
            let expected =
                LogFault::BeginsLater { next_offset: Offset(next_offset), low: Offset(low) };
            assert_eq!(judge(next_offset, low, high), Err(expected));
        }
        for (next_offset, low, high) in [(10, 5, 9), (1, 0, 0)] {
            let expected =
                LogFault::EndsEarlier { next_offset: Offset(next_offset), high: Offset(high) };
            assert_eq!(judge(next_offset, low, high), Err(expected));
        }
    }

    #[test]
    fn a_record_is_known_by_key_value_and_timestamp() {
        let topic = Topic::from("t");
        let record = |offset, timestamp_ms, key, payload| Record {
            topic: &topic,
            partition: Partition(0),
            offset: Offset(offset),
            timestamp_ms,
            key,
            payload,
            headers: Vec::new(),
        };
        let (key, payload) = (Some(&b"k"[..]), Some(&b"v"[..]));
        let hash = record_hash(key, payload);
        let last = LastRecord { offset: Offset(7), timestamp_ms: Some(1000), hash };
        assert_eq!(check_record(&last, &record(7, Some(1000), key, payload)), Ok(()));
        assert_eq!(check_record(&last, &record(8, Some(2000), None, None)), Ok(()));
        for other in [
            record(7, Some(1001), key, payload),
            record(7, None, key, payload),
            record(7, Some(1000), None, payload),
            record(7, Some(1000), key, None),
            record(7, Some(1000), key, Some(b"w")),
        ] {
            let expected = LogFault::OtherRecord { last_offset: Offset(7) };
            assert_eq!(check_record(&last, &other), Err(expected));
        }
    }

    #[test]
    fn says_what_is_wrong_and_what_to_do() {
        let stop = LogFault::BeginsLater { next_offset: Offset(4), low: Offset(9) };
        let said = stop.stop(&Topic::from("t"), Partition(3)).to_string();
        let command = "forebay resume --config FILE --topic t --partition 3 --from earliest";
        for expected in ["t/3: ", "offset 4", "at 9", command] {
            assert!(said.contains(expected), "no `{expected}` in {said}");
        }
    }
}
