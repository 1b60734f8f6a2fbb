//! How a worker comes to its claim.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::{error, info, warn};

use super::owned::Owned;
use super::reading::Reading;
use super::{Database, Surroundings, Worker, open_database};
use crate::claim::{Claim, Claimant, Seen, look};
use crate::failpoint;
use crate::failure::Failure;
use crate::health::Component;
use crate::kafka::{self, KafkaConsumer, Reporter};
use crate::known_progress::Finding;
use crate::ownership::{Key, lock};
use crate::retry::OTHER_CLUSTER;
use crate::session::Session;
use crate::start;
use crate::stopped_partition::{Mark, PartitionStop};
use crate::survey::{Survey, survey};

impl Worker {
    /// Takes what it is to own and nobody else does, claims it, and starts to read. Connects first
    /// if it has no session from its last claim.
    ///
    /// # Errors
    /// The first thing that is missing. If both sides are missing, both are told to the health.
    pub async fn begin(
        surroundings: Surroundings,
        number: usize,
        database: Option<Database>,
        wanted: BTreeSet<Key>,
    ) -> Result<Self, Failure> {
        let database = match database {
            Some(database) => database,
            None => open(&surroundings, number).await?,
        };
        let Surroundings { config, metrics, stopped, .. } = &surroundings;
        let source = config.source.name.as_str();
        let owned = lock::own(&database.session, source, &wanted).await?;
        metrics.take_overs.inc_by(owned.taken);
        let owned = Owned::new(owned.partitions, metrics.owned_partitions.clone());
        let seen = look(&database.session, source).await?;
        surroundings.observe(seen.server)?;
        for (key, mark) in &seen.marks {
            stopped.observe(&key.0, key.1, *mark);
        }
        let goes_on = |key: &&Key| !stopped.contains(&key.0, key.1);
        let to_read: BTreeSet<Key> = owned.partitions().iter().filter(goes_on).cloned().collect();
        let mut worker = Self {
            number,
            database,
            wanted,
            owned,
            claim: Claim::at(seen.server),
            reading: None,
            has_merged: false,
            surroundings,
        };
        if to_read.is_empty() {
            worker.surroundings.metrics.lag.claimed(number, []);
        } else {
            worker.claim_and_read(&to_read, &seen).await?;
        }
        worker.surroundings.health.claimed(number);
        Ok(worker)
    }

    async fn claim_and_read(&mut self, keys: &BTreeSet<Key>, seen: &Seen) -> Result<(), Failure> {
        let (consumer, mut survey) = broker(&self.surroundings, keys).await?;
        failpoint::hit(failpoint::CONSUME_BEFORE_CLAIM).await;
        let (session, surroundings) = (&self.database.session, &self.surroundings);
        start::resolve(session, &consumer, &surroundings.config, &mut survey).await?;
        let refused = take(&mut self.claim, session, surroundings, &survey).await?;
        self.stop(&refused, &seen.marks);
        self.recognise();
        let survey = if self.claim.check(&survey).1.is_empty() {
            survey
        } else {
            // The one who had it before may have merged what came after the survey.
            survey_again(&self.surroundings, consumer.clone(), keys).await?
        };
        let (expected, stops) = self.claim.check(&survey);
        self.stop(&stops, &seen.marks);
        let Surroundings { metrics, .. } = &self.surroundings;
        metrics.claims.inc();
        metrics.lag.claimed(self.number, self.claim.standings(&survey));
        self.log(&survey);
        if !self.claim.is_empty() {
            let decoder = self.database.decoder.clone();
            self.reading = Some(Reading::start(&self.surroundings, consumer, expected, decoder)?);
        }
        Ok(())
    }

    /// Stops partitions: they are owned, and neither claimed nor read. `seen` is what progress says
    /// of those that could not be claimed.
    pub fn stop(&mut self, stops: &[PartitionStop], seen: &BTreeMap<Key, Mark>) {
        for stop in stops {
            let key = (stop.topic.clone(), stop.partition);
            let claimed = self.claim.mark(&stop.topic, stop.partition);
            self.claim.remove(&stop.topic, stop.partition);
            match claimed.or_else(|| seen.get(&key).copied()) {
                Some(mark) => self.surroundings.stopped.stop(stop, mark),
                None => error!("stopped {stop}, until the next claim"),
            }
        }
    }

    /// Says what the claimed offsets mean to this process.
    fn recognise(&self) {
        let Surroundings { metrics, .. } = &self.surroundings;
        for (key, claimed) in self.claim.partitions() {
            let next_offset = claimed.next_offset;
            let finding = self.surroundings.known().claimed(key, next_offset);
            let (topic, partition) = key;
            match finding {
                Finding::WentBack { known } => {
                    metrics.rewinds.inc();
                    warn!(
                        "progress of {topic}/{partition} went back from offset {known} to \
                         {next_offset}: the database lost commits (a failover or a restored \
                         backup); reading again from there"
                    );
                }
                Finding::Done => {
                    info!("the unknown commit of {topic}/{partition} to {next_offset} is done");
                }
                Finding::Redo => info!(
                    "the unknown commit of {topic}/{partition} is not done; merging again from \
                     {next_offset}"
                ),
                Finding::New | Finding::AsKnown | Finding::MovedOn => {}
            }
        }
    }

    fn log(&self, survey: &Survey) {
        let next_offsets: Vec<String> = self
            .claim
            .partitions()
            .map(|((topic, partition), claimed)| {
                let first = if claimed.first_seen { " (first seen)" } else { "" };
                format!("{topic}/{partition}:{}{first}", claimed.next_offset)
            })
            .collect();
        info!(
            source = self.surroundings.config.source.name,
            worker = self.number,
            partitions = next_offsets.len(),
            cluster_id = survey.cluster_id,
            next_offsets = next_offsets.join(" "),
            "claimed partitions"
        );
    }
}

async fn open(surroundings: &Surroundings, number: usize) -> Result<Database, Failure> {
    let database = open_database(surroundings, &surroundings.config.source.name).await?;
    lock::open_session(&database.session, surroundings.writer, number).await?;
    Ok(database)
}

/// Claims the surveyed partitions, topic by topic. Answers which can't be claimed until a person
/// acts.
async fn take(
    claim: &mut Claim,
    session: &Session,
    surroundings: &Surroundings,
    survey: &Survey,
) -> Result<Vec<PartitionStop>, Failure> {
    let claimant = Claimant {
        source: &surroundings.config.source.name,
        name: &surroundings.claimant,
        cluster_id: survey.cluster_id.as_deref(),
    };
    let mut stops = Vec::new();
    for of_topic in survey.partitions.chunk_by(|a, b| a.topic == b.topic) {
        match claim.take(session, claimant, of_topic).await {
            Ok(()) => {}
            Err(error) if error.sqlstate() == Some(OTHER_CLUSTER) => {
                stops.extend(of_topic.iter().map(|one| PartitionStop {
                    topic: one.topic.clone(),
                    partition: one.partition,
                    message: error.to_string(),
                }));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(stops)
}

/// Makes a consumer, and looks at the partitions.
async fn broker(
    surroundings: &Surroundings,
    keys: &BTreeSet<Key>,
) -> Result<(Arc<KafkaConsumer>, Survey), Failure> {
    let Surroundings { config, metrics, health, .. } = surroundings;
    let reporter = Reporter::new(metrics.clone(), health.clone());
    let (asked, keys) = (config.clone(), keys.clone());
    // All of it blocks, the end of a consumer that is of no use included.
    let looked = tokio::task::spawn_blocking(move || {
        let consumer =
            kafka::consumer(&asked.kafka, &asked.memory, reporter).map_err(Failure::Client)?;
        let survey = survey(&consumer, &asked.kafka.bootstrap_servers, &keys)?;
        Ok::<_, Failure>((Arc::new(consumer), survey))
    });
    let found = looked.await.map_err(|_| Failure::Background)??;
    health.up(Component::Broker);
    Ok(found)
}

async fn survey_again(
    surroundings: &Surroundings,
    consumer: Arc<KafkaConsumer>,
    keys: &BTreeSet<Key>,
) -> Result<Survey, Failure> {
    let (config, keys) = (surroundings.config.clone(), keys.clone());
    let looked = tokio::task::spawn_blocking(move || {
        survey(&consumer, &config.kafka.bootstrap_servers, &keys)
    });
    Ok(looked.await.map_err(|_| Failure::Background)??)
}
