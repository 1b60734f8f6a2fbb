//! Where partitions start that nobody has claimed before: as the configuration says, resolved once.
//! The claim stores it, and from then on the database alone decides.

use std::collections::HashSet;
use std::sync::Arc;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use tracing::warn;

use crate::config::{Config, KafkaConfig, Start};
use crate::failure::Failure;
use crate::health::Health;
use crate::kafka::{self, ANSWER_TIMEOUT, KafkaConsumer, Reporter};
use crate::metrics::Metrics;
use crate::position::{Offset, Partition, Topic};
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::survey::{Survey, SurveyError, Surveyed, partitions};

const SEEN: &str = "select topic, partition from forebay.progress where source = $1::text";

/// Why the offsets of a consumer group are no place to start at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Most likely the name is misspelt.
    #[error(
        "source.start names the consumer group \"{group}\", which has no offset in any of the \
         topics; correct the name, or set source.start to \"earliest\""
    )]
    UnknownGroup {
        /// The group.
        group: String,
    },
    /// The group's offset is not in the log.
    #[error(
        "source.start: the consumer group \"{group}\" is at offset {offset} of {topic}/{partition}, \
         but the log has {low} to {high}; set the group's offset to one of these if what is \
         missing may be left out, or start elsewhere"
    )]
    OutOfLog {
        /// The group.
        group: String,
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
        /// The group's offset.
        offset: Offset,
        /// The log's first offset.
        low: Offset,
        /// The log's end.
        high: Offset,
    },
}

/// Sets the start of the surveyed partitions that no progress is kept of. Those of a group that
/// has no offset for them start at their first record, with a warning.
///
/// # Errors
/// If broker or database don't answer, or the group is no place to start at.
pub async fn resolve(
    session: &Session,
    consumer: &Arc<KafkaConsumer>,
    config: &Config,
    survey: &mut Survey,
) -> Result<(), Failure> {
    if config.source.start == Start::Earliest {
        return Ok(());
    }
    let seen = seen(session, &config.source.name).await?;
    let is_first_start = seen.is_empty();
    let unseen: Vec<Surveyed> = survey
        .partitions
        .iter()
        .filter(|one| !seen.contains(&(one.topic.clone(), one.partition)))
        .cloned()
        .collect();
    if unseen.is_empty() {
        return Ok(());
    }
    let (kafka, consumer) = (config.kafka.clone(), consumer.clone());
    let (start, topics) = (config.source.start.clone(), config.source.topics.clone());
    let resolve = move || {
        let asking = Asking { consumer: &consumer, kafka: &kafka, unseen: &unseen };
        match start {
            Start::Earliest => Ok(Vec::new()),
            Start::At(time) => asking.since(time.as_millisecond()).map_err(Into::into),
            Start::Group(group) => {
                // One of several workers sees its own partitions only.
                if is_first_start && !asking.is_known(&group, &topics)? {
                    return Err(StartError::UnknownGroup { group }.into());
                }
                asking.group(&group)
            }
        }
    };
    let resolved: Vec<Surveyed> =
        tokio::task::spawn_blocking(resolve).await.map_err(|_| Failure::Background)??;
    for one in resolved {
        let same =
            |other: &&mut Surveyed| (&other.topic, other.partition) == (&one.topic, one.partition);
        if let Some(found) = survey.partitions.iter_mut().find(same) {
            found.start = one.start;
        }
    }
    Ok(())
}

/// The same partition, starting at its first record of this time or later. It blocks.
///
/// # Errors
/// If the broker does not answer.
pub fn since(
    consumer: &KafkaConsumer,
    kafka: &KafkaConfig,
    surveyed: Surveyed,
    time_ms: i64,
) -> Result<Surveyed, SurveyError> {
    let unseen = [surveyed.clone()];
    let found = Asking { consumer, kafka, unseen: &unseen }.since(time_ms)?;
    Ok(found.into_iter().next().unwrap_or(surveyed))
}

/// The partitions that progress is kept of.
async fn seen(
    session: &Session,
    source: &str,
) -> Result<HashSet<(Topic, Partition)>, DatabaseError> {
    let rows = session.within(Place::Claim, session.client().query(SEEN, &[&source])).await?;
    let read = |row: &tokio_postgres::Row| {
        let topic: &str = row.try_get(0)?;
        Ok((Topic::from(topic), Partition(row.try_get(1)?)))
    };
    rows.iter()
        .map(read)
        .collect::<Result<_, tokio_postgres::Error>>()
        .map_err(|error| DatabaseError::answer(Place::Claim, error.to_string()))
}

/// Asks the broker about these partitions. It blocks.
struct Asking<'a> {
    consumer: &'a KafkaConsumer,
    kafka: &'a KafkaConfig,
    unseen: &'a [Surveyed],
}

impl Asking<'_> {
    /// At their first record of this time or later; at their end if there is none.
    fn since(&self, time_ms: i64) -> Result<Vec<Surveyed>, SurveyError> {
        let offset = KafkaOffset::Offset(time_ms.max(0));
        let found = self
            .list(offset)
            .and_then(|times| self.consumer.offsets_for_times(times, ANSWER_TIMEOUT))
            .map_err(|error| self.failed("the offsets of source.start", &error))?;
        Ok(self.starts(&found, |one| one.high))
    }

    /// Whether a consumer group has an offset anywhere in these topics. A topic that is not there
    /// may be the one.
    fn is_known(&self, group: &str, topics: &[String]) -> Result<bool, SurveyError> {
        let mut all = TopicPartitionList::new();
        let mut missing = None;
        for topic in topics {
            match partitions(self.consumer, &self.kafka.bootstrap_servers, topic) {
                Ok(numbers) => numbers.iter().for_each(|number| {
                    all.add_partition(topic, number.0);
                }),
                Err(error @ SurveyError::Broker { .. }) => return Err(error),
                Err(error) => missing = Some(error),
            }
        }
        let found = self.committed(group, all)?;
        let is_known =
            found.elements().iter().any(|one| matches!(one.offset(), KafkaOffset::Offset(_)));
        match missing {
            Some(error) if !is_known => Err(error),
            _ => Ok(is_known),
        }
    }

    /// Where a consumer group would go on.
    fn group(&self, group: &str) -> Result<Vec<Surveyed>, Failure> {
        let all = self
            .list(KafkaOffset::Invalid)
            .map_err(|error| self.failed(&format!("the offsets of group \"{group}\""), &error))?;
        let found = self.committed(group, all)?;
        let without: Vec<String> = self
            .unseen
            .iter()
            .filter(|one| offset_of(&found, one).is_none())
            .map(|one| format!("{}/{}", one.topic, one.partition))
            .collect();
        let starts = self.starts(&found, |one| one.low);
        for Surveyed { topic, partition, low, high, start } in &starts {
            if start < low || start > high {
                let (topic, partition, group) = (topic.clone(), *partition, group.to_owned());
                let (offset, low, high) = (*start, *low, *high);
                let outside = StartError::OutOfLog { group, topic, partition, offset, low, high };
                return Err(outside.into());
            }
        }
        if !without.is_empty() {
            warn!(
                group,
                partitions = without.join(" "),
                "source.start: the consumer group has no offset for some partitions; they start at \
                 their first record"
            );
        }
        Ok(starts)
    }

    /// The offsets of a group, asked by a client that looks like one of its members but never
    /// joins it. What it has to report is nothing of the writer's own.
    fn committed(
        &self,
        group: &str,
        of: TopicPartitionList,
    ) -> Result<TopicPartitionList, SurveyError> {
        let config = KafkaConfig { group_id: group.to_owned(), ..self.kafka.clone() };
        let ask = || {
            let metrics =
                Metrics::new().map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
            let reporter = Reporter::new(Arc::new(metrics), Arc::new(Health::default()));
            let member = kafka::watcher(&config, reporter)?;
            let found = member.committed_offsets(of, ANSWER_TIMEOUT)?;
            found.elements().iter().try_for_each(|one| one.error())?;
            Ok(found)
        };
        ask().map_err(|error| self.failed(&format!("the offsets of group \"{group}\""), &error))
    }

    fn list(&self, offset: KafkaOffset) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(self.unseen.len());
        for one in self.unseen {
            list.add_partition_offset(one.topic.as_str(), one.partition.0, offset)?;
        }
        Ok(list)
    }

    fn starts(
        &self,
        found: &TopicPartitionList,
        otherwise: impl Fn(&Surveyed) -> Offset,
    ) -> Vec<Surveyed> {
        let start = |one: &Surveyed| offset_of(found, one).unwrap_or_else(|| otherwise(one));
        self.unseen.iter().map(|one| Surveyed { start: start(one), ..one.clone() }).collect()
    }

    fn failed(&self, question: &str, error: &KafkaError) -> SurveyError {
        let reason = match error.rdkafka_error_code() {
            Some(code) => code.to_string(),
            None => error.to_string(),
        };
        let servers = self.kafka.bootstrap_servers.clone();
        SurveyError::Broker { servers, question: question.to_owned(), reason }
    }
}

fn offset_of(found: &TopicPartitionList, one: &Surveyed) -> Option<Offset> {
    match found.find_partition(one.topic.as_str(), one.partition.0)?.offset() {
        KafkaOffset::Offset(offset) => Some(Offset(offset)),
        _ => None,
    }
}
