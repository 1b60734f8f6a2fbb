//! Takes partitions, and keeps what the claim of them says.

mod look;

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::consume::Expected;
use crate::event_batch::{BatchPosition, LastRecord};
use crate::lag::Standing;
use crate::log_check::{LogRange, check_range};
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
    /// The last merged record, if there is one to be known again.
    pub last: Option<LastRecord>,
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

    /// Compares the stored offsets with the log: the partitions to read, from where, and those that
    /// can't go on. The last record is left out where the log has it no more, and where somebody has
    /// set progress back before it: reading begins there, and it is merged again.
    pub fn check(&self, survey: &Survey) -> (Vec<Expected>, Vec<PartitionStop>) {
        let (mut expected, mut stops) = (Vec::new(), Vec::new());
        for surveyed in &survey.partitions {
            let Surveyed { topic, partition, low, high, .. } = surveyed;
            let Some(claimed) = self.get(topic, *partition) else { continue };
            let log = LogRange { low: *low, high: *high };
            // Of progress that a person has set back, the last record is one that comes later.
            let is_before = |last: &LastRecord| (*low..claimed.next_offset).contains(&last.offset);
            match check_range(claimed.next_offset, log) {
                Ok(()) => expected.push(Expected {
                    topic: topic.clone(),
                    partition: *partition,
                    offset: claimed.next_offset,
                    last: claimed.last.clone().filter(is_before),
                    claimed_end: *high,
                    known_end: *high,
                }),
                Err(fault) => stops.push(fault.stop(topic, *partition)),
            }
        }
        (expected, stops)
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
}

fn read(row: &Row) -> Result<(Partition, Claimed), tokio_postgres::Error> {
    let claimed = Claimed {
        token: row.try_get("token")?,
        next_offset: Offset(row.try_get("next_offset")?),
        last: last_record(row)?,
        last_timestamp_ms: row.try_get("last_timestamp")?,
        first_seen: row.try_get("first_seen")?,
    };
    Ok((Partition(row.try_get("partition")?), claimed))
}

/// The last merged record, as progress keeps it.
fn last_record(row: &Row) -> Result<Option<LastRecord>, tokio_postgres::Error> {
    let offset: Option<i64> = row.try_get("last_offset")?;
    let hash: Option<&[u8]> = row.try_get("last_hash")?;
    let timestamp_ms = row.try_get("last_timestamp")?;
    let hash = hash.and_then(|hash| hash.try_into().ok());
    Ok(offset.zip(hash).map(|(offset, hash)| LastRecord {
        offset: Offset(offset),
        timestamp_ms,
        hash,
    }))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Claim, Claimed};
    use crate::event_batch::LastRecord;
    use crate::position::{Offset, Partition, Topic};
    use crate::survey::{Survey, Surveyed};

    #[test]
    fn reads_what_the_log_has_and_stops_the_rest() {
        let topic = Topic::from("t");
        let mut claim = Claim::default();
        let mut partitions = Vec::new();
        for (number, next_offset, last_offset, low, high) in
            [(0, 5, 4, 5, 5), (1, 4, 3, 5, 9), (2, 10, 9, 5, 9), (3, 9, 7, 0, 9), (4, 6, 8, 0, 9)]
        {
            let partition = Partition(number);
            let (low, high) = (Offset(low), Offset(high));
            partitions.push(Surveyed { topic: topic.clone(), partition, low, high, start: low });
            let last =
                LastRecord { offset: Offset(last_offset), timestamp_ms: None, hash: [0; 16] };
            let claimed = Claimed {
                token: Uuid::nil(),
                next_offset: Offset(next_offset),
                last: Some(last),
                last_timestamp_ms: None,
                first_seen: false,
            };
            claim.partitions.insert((topic.clone(), partition), claimed);
        }
        let (expected, stops) = claim.check(&Survey { cluster_id: None, partitions });
        let firsts = expected.iter().map(|one| (one.partition.0, one.first_offset().0));
        assert_eq!(firsts.collect::<Vec<_>>(), [(0, 5), (3, 7), (4, 6)]);
        let stopped: Vec<i32> = stops.iter().map(|stop| stop.partition.0).collect();
        assert_eq!(stopped, [1, 2]);
    }
}
