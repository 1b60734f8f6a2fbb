//! Takes partitions, and keeps what the claim of them says.

mod look;

use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::event_batch::BatchPosition;
use crate::lag::Standing;
use crate::position::{Offset, Partition, Topic};
use crate::retry::Place;
use crate::server::Server;
use crate::session::{DatabaseError, Session};
use crate::stopped_partition::{Mark, PartitionStop};
use crate::survey::{Survey, Surveyed};

pub use look::{Seen, Surprise, look};

const TAKE: &str = include_str!("claim.sql");

/// Partitions that this writer has, by one session.
#[derive(Debug, Default)]
pub struct Claim {
    /// Where it was made.
    server: Option<Server>,
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

/// Who claims, and what.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    /// The source.
    pub source: &'a str,
    /// What progress shows as the holder.
    pub name: &'a str,
    /// The Kafka cluster that the offsets belong to.
    pub cluster_id: Option<&'a str>,
}

/// A stored offset that the log does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfLog {
    /// Records between progress and the log's begin are gone.
    #[error(
        "progress is at offset {next_offset}, but the log begins at {low}: \
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
        "progress is at offset {next_offset}, but the log ends at {high}: it \
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

impl OutOfLog {
    /// The stop of its partition.
    pub fn stop(&self) -> PartitionStop {
        let (Self::Below { topic, partition, .. } | Self::Above { topic, partition, .. }) = self;
        let (topic, partition) = (topic.clone(), *partition);
        PartitionStop { topic, partition, message: self.to_string() }
    }
}

impl Claim {
    /// A claim of nothing yet, by a session on this server.
    pub fn at(server: Server) -> Self {
        Self { server: Some(server), ..Self::default() }
    }

    /// Claims partitions of one topic for this session, and adds them.
    ///
    /// # Errors
    /// What the database said.
    pub async fn take(
        &mut self,
        session: &Session,
        claimant: Claimant<'_>,
        of_topic: &[Surveyed],
    ) -> Result<(), DatabaseError> {
        let Some(first) = of_topic.first() else { return Ok(()) };
        let statement = session.statement(Place::Claim, TAKE).await?;
        let numbers: Vec<i32> = of_topic.iter().map(|one| one.partition.0).collect();
        let starts: Vec<i64> = of_topic.iter().map(|one| one.start.0).collect();
        let Claimant { source, name, cluster_id } = claimant;
        let topic = first.topic.as_str();
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&source, &topic, &numbers, &starts, &name, &cluster_id];
        let rows = session.client().query(&statement, &parameters);
        for row in session.within(Place::Claim, rows).await? {
            let (partition, claimed) = read(&row)
                .map_err(|error| DatabaseError::answer(Place::Claim, error.to_string()))?;
            self.insert((first.topic.clone(), partition), claimed);
        }
        Ok(())
    }

    /// Adds a partition as it was claimed.
    pub fn insert(&mut self, key: (Topic, Partition), claimed: Claimed) {
        self.partitions.insert(key, claimed);
    }

    /// Leaves a partition out: it is not read, and its progress stays as it is.
    pub fn remove(&mut self, topic: &Topic, partition: Partition) -> Option<Claimed> {
        self.partitions.remove(&(topic.clone(), partition))
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The partitions with what is known of them.
    pub fn partitions(&self) -> impl Iterator<Item = (&(Topic, Partition), &Claimed)> {
        self.partitions.iter()
    }

    /// What is known of one partition, if it is claimed.
    pub fn get(&self, topic: &Topic, partition: Partition) -> Option<&Claimed> {
        self.partitions.get(&(topic.clone(), partition))
    }

    /// What progress says of a partition, by this claim.
    pub fn mark(&self, topic: &Topic, partition: Partition) -> Option<Mark> {
        let claimed = self.get(topic, partition)?;
        Some(Mark { token: claimed.token, next_offset: claimed.next_offset })
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

fn read(row: &Row) -> Result<(Partition, Claimed), tokio_postgres::Error> {
    let claimed = Claimed {
        token: row.try_get("token")?,
        next_offset: Offset(row.try_get("next_offset")?),
        last_timestamp_ms: row.try_get("last_timestamp")?,
        first_seen: row.try_get("first_seen")?,
    };
    Ok((Partition(row.try_get("partition")?), claimed))
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
