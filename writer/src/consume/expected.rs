//! Where a partition goes on, and what must stand before that.

use std::fmt;

use crate::event_batch::LastRecord;
use crate::log_check::{LogFault, check_record};
use crate::position::{Offset, Partition, Topic};
use crate::record::Record;

/// Where a partition goes on.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Its topic.
    pub topic: Topic,
    /// Its number.
    pub partition: Partition,
    /// The offset to hand over next.
    pub offset: Offset,
    /// What progress keeps of the last merged record, until that is found again or known to be
    /// gone.
    pub last: Option<LastRecord>,
    /// The log's end before the partition was assigned.
    pub claimed_end: Offset,
    /// The log's end, as far as it is known.
    pub known_end: Offset,
}

impl Expected {
    /// Where reading begins: one record early if there is one to be known again.
    pub fn first_offset(&self) -> Offset {
        self.last.as_ref().map_or(self.offset, |last| last.offset)
    }

    /// Takes note of a record: whether it is to be handed over.
    ///
    /// # Errors
    /// If it shows that this is not the log that progress was written for.
    pub fn meet(&mut self, record: &Record<'_>) -> Result<bool, LogFault> {
        if let Some(last) = self.last.take() {
            check_record(&last, record)?;
        }
        Ok(record.offset >= self.offset)
    }

    /// How many offsets lie between what was expected and this.
    pub fn gap(&self, offset: Offset) -> u64 {
        offset.0.saturating_sub(self.offset.0).max(0).cast_unsigned()
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} at offset {}", self.topic, self.partition, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::Expected;
    use crate::event_batch::LastRecord;
    use crate::position::{Offset, Partition, Topic};
    use crate::record_hash::record_hash;
    use crate::testing::record;

    fn expected(last: Option<LastRecord>) -> Expected {
        Expected {
            topic: Topic::from("t"),
            partition: Partition(0),
            offset: Offset(10),
            last,
            claimed_end: Offset(10),
            known_end: Offset(10),
        }
    }

    fn last(payload: &[u8]) -> LastRecord {
        LastRecord {
            offset: Offset(7),
            timestamp_ms: Some(1007),
            hash: record_hash(None, Some(payload)),
        }
    }

    #[test]
    fn reads_the_last_merged_record_again_and_hands_over_what_comes_after() {
        let topic = Topic::from("t");
        let mut known = expected(Some(last(b"seven")));
        assert_eq!(known.first_offset(), Offset(7));
        for (offset, handed_over) in [(7, false), (10, true), (12, true)] {
            let record = record(&topic, 0, offset, None, Some(b"seven"));
            assert_eq!(known.meet(&record), Ok(handed_over), "{offset}");
        }
        assert_eq!(expected(None).first_offset(), Offset(10));
    }

    #[test]
    fn refuses_another_record_in_its_place() {
        let topic = Topic::from("t");
        let other = record(&topic, 0, 7, None, Some(b"another"));
        assert!(expected(Some(last(b"seven"))).meet(&other).is_err());
        // Compaction may have removed it.
        let later = record(&topic, 0, 11, None, Some(b"another"));
        assert_eq!(expected(Some(last(b"seven"))).meet(&later), Ok(true));
    }
}
