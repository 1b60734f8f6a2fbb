//! Takes partitions, and keeps what the claim of them says.

use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::event_batch::BatchPosition;
use crate::lag::Standing;
use crate::position::{Offset, Partition, Topic};
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::survey::Survey;

const CLAIM: &str = include_str!("claim.sql");

/// Partitions that this writer has, by one session.
#[derive(Debug, Default)]
pub struct Claim {
    partitions: BTreeMap<(Topic, Partition), Claimed>,
}

/// What a claim knows of one partition.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The fence.
    pub token: Uuid,
    /// The committed offset to read next.
    pub next_offset: Offset,
    /// The timestamp of the last merged record.
    pub last_timestamp_ms: Option<i64>,
    /// Whether nobody has claimed it before.
    pub first_seen: bool,
}

/// A stored offset that the log does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfLog {
    /// Records between progress and the log's begin are gone.
    #[error(
        "{topic}/{partition}: progress is at offset {next_offset}, but the log begins at {low}: \
         retention has removed records that were never merged. Nothing is skipped by itself: \
         restore them, or accept the loss by setting forebay.progress.next_offset to {low}"
    )]
    Below {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
        /// The stored offset.
        next_offset: Offset,
        /// The log's first offset.
        low: Offset,
    },
    /// The log ends before what was merged already.
    #[error(
        "{topic}/{partition}: progress is at offset {next_offset}, but the log ends at {high}: it \
         was truncated, or the topic was deleted and made anew. Find out which records the tables \
         have; then read the new log from its begin under another source.name, or set \
         forebay.progress.next_offset"
    )]
    Above {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
        /// The stored offset.
        next_offset: Offset,
        /// The log's end.
        high: Offset,
    },
}

impl Claim {
    /// Claims every partition of a survey for this session.
    ///
    /// # Errors
    /// What the database said. What was claimed until then stays claimed, and is claimed anew the
    /// next time.
    pub async fn take(
        session: &Session,
        source: &str,
        claimant: &str,
        survey: &Survey,
    ) -> Result<Self, DatabaseError> {
        let mut claim = Self::default();
        let statement = session.statement(Place::Claim, CLAIM).await?;
        let mut rest = survey.partitions.as_slice();
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|other| other.topic == first.topic).count();
            let (of_topic, others) = rest.split_at(count);
            rest = others;
            let numbers: Vec<i32> = of_topic.iter().map(|one| one.partition.0).collect();
            let starts: Vec<i64> = of_topic.iter().map(|one| one.start.0).collect();
            let topic = first.topic.as_str();
            let parameters: [&(dyn ToSql + Sync); 6] =
                [&source, &topic, &numbers, &starts, &claimant, &survey.cluster_id];
            let rows = session.client().query(&statement, &parameters);
            for row in session.within(Place::Claim, rows).await? {
                let read = || -> Result<(i32, Claimed), tokio_postgres::Error> {
                    let claimed = Claimed {
                        token: row.try_get("token")?,
                        next_offset: Offset(row.try_get("next_offset")?),
                        last_timestamp_ms: row.try_get("last_timestamp")?,
                        first_seen: row.try_get("first_seen")?,
                    };
                    Ok((row.try_get("partition")?, claimed))
                };
                let (partition, claimed) = read()
                    .map_err(|error| DatabaseError::answer(Place::Claim, error.to_string()))?;
                claim.partitions.insert((first.topic.clone(), Partition(partition)), claimed);
            }
        }
        Ok(claim)
    }

    /// The partitions with what is known of them.
    pub fn partitions(&self) -> impl Iterator<Item = (&(Topic, Partition), &Claimed)> {
        self.partitions.iter()
    }

    /// What is known of one partition, if it is claimed.
    pub fn get(&self, topic: &Topic, partition: Partition) -> Option<&Claimed> {
        self.partitions.get(&(topic.clone(), partition))
    }

    /// A batch is committed up to these positions.
    pub fn advance(&mut self, positions: &[BatchPosition]) {
        for position in positions {
            let key = (position.topic.clone(), position.partition);
            if let Some(claimed) = self.partitions.get_mut(&key) {
                claimed.next_offset = position.next_offset;
            }
        }
    }

    /// Compares the stored offsets with the log.
    ///
    /// # Errors
    /// The partitions that the log can't serve.
    pub fn check(&self, survey: &Survey) -> Result<(), Vec<OutOfLog>> {
        let outside: Vec<OutOfLog> = survey
            .partitions
            .iter()
            .filter_map(|surveyed| {
                let (topic, partition) = (surveyed.topic.clone(), surveyed.partition);
                let next_offset = self.get(&topic, partition)?.next_offset;
                if next_offset < surveyed.low {
                    let low = surveyed.low;
                    Some(OutOfLog::Below { topic, partition, next_offset, low })
                } else if next_offset > surveyed.high {
                    let high = surveyed.high;
                    Some(OutOfLog::Above { topic, partition, next_offset, high })
                } else {
                    None
                }
            })
            .collect();
        if outside.is_empty() { Ok(()) } else { Err(outside) }
    }

    /// Where each partition stands, by the ends that the survey found.
    pub fn standings(&self, survey: &Survey) -> Vec<((Topic, Partition), Standing)> {
        survey
            .partitions
            .iter()
            .filter_map(|surveyed| {
                let claimed = self.get(&surveyed.topic, surveyed.partition)?;
                let standing = Standing {
                    next_offset: claimed.next_offset,
                    end: surveyed.high,
                    last_timestamp_ms: claimed.last_timestamp_ms,
                };
                Some(((surveyed.topic.clone(), surveyed.partition), standing))
            })
            .collect()
    }

    /// The claimed partitions at their stored offsets, to be assigned.
    ///
    /// # Errors
    /// If an offset is none.
    pub fn assignment(&self) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(self.partitions.len());
        for ((topic, partition), claimed) in &self.partitions {
            let offset = KafkaOffset::Offset(claimed.next_offset.0);
            list.add_partition_offset(topic.as_str(), partition.0, offset)?;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Claim, Claimed, OutOfLog};
    use crate::position::{Offset, Partition, Topic};
    use crate::survey::{Survey, Surveyed};

    #[test]
    fn finds_offsets_outside_of_the_log() {
        let topic = Topic::from("t");
        let mut claim = Claim::default();
        let mut partitions = Vec::new();
        for (number, next_offset, low, high) in
            [(0, 5, 5, 5), (1, 4, 5, 9), (2, 10, 5, 9), (3, 9, 0, 9)]
        {
            let partition = Partition(number);
            let (low, high) = (Offset(low), Offset(high));
            partitions.push(Surveyed { topic: topic.clone(), partition, low, high, start: low });
            let claimed = Claimed {
                token: Uuid::nil(),
                next_offset: Offset(next_offset),
                last_timestamp_ms: None,
                first_seen: false,
            };
            claim.partitions.insert((topic.clone(), partition), claimed);
        }
        let found = claim.check(&Survey { cluster_id: None, partitions }).unwrap_err();
        assert!(matches!(&found[0], OutOfLog::Below { partition: Partition(1), .. }));
        assert!(matches!(&found[1], OutOfLog::Above { partition: Partition(2), .. }));
        assert_eq!(found.len(), 2);
    }
}
