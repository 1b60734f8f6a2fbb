//! Takes partitions, and keeps what the claim of them says.

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
use crate::session::{DatabaseError, Session};
use crate::stopped_partition::PartitionStop;
use crate::survey::{Survey, Surveyed};

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
    /// The last merged record, if there is one to be known again.
    pub last: Option<LastRecord>,
    /// The timestamp of the last merged record.
    pub last_timestamp_ms: Option<i64>,
    /// Whether nobody has claimed it before.
    pub first_seen: bool,
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
                        last: last_record(&row)?,
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

    /// Compares the stored offsets with the log: the partitions to read, from where, and those that
    /// can't go on.
    pub fn check(&self, survey: &Survey) -> (Vec<Expected>, Vec<PartitionStop>) {
        let (mut expected, mut stops) = (Vec::new(), Vec::new());
        for surveyed in &survey.partitions {
            let Surveyed { topic, partition, low, high, .. } = surveyed;
            let Some(claimed) = self.get(topic, *partition) else { continue };
            let log = LogRange { low: *low, high: *high };
            match check_range(claimed.next_offset, log) {
                Ok(()) => expected.push(Expected {
                    topic: topic.clone(),
                    partition: *partition,
                    offset: claimed.next_offset,
                    last: claimed.last.clone().filter(|last| last.offset >= *low),
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
            [(0, 5, 4, 5, 5), (1, 4, 3, 5, 9), (2, 10, 9, 5, 9), (3, 9, 7, 0, 9)]
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
        assert_eq!(firsts.collect::<Vec<_>>(), [(0, 5), (3, 7)]);
        let stopped: Vec<i32> = stops.iter().map(|stop| stop.partition.0).collect();
        assert_eq!(stopped, [1, 2]);
    }
}
