//! How a worker comes to its claim.

use std::sync::Arc;

use tracing::info;

use super::{Surroundings, Worker};
use crate::catalog::Catalog;
use crate::claim::Claim;
use crate::config::Config;
use crate::consume;
use crate::decode::Format;
use crate::extension;
use crate::failpoint;
use crate::failure::Failure;
use crate::hand_over::{Cap, Decoder, HandOver};
use crate::health::Component;
use crate::kafka::{self, KafkaConsumer, Reporter};
use crate::session::Session;
use crate::start;
use crate::survey::{Survey, survey};

impl Worker {
    /// Connects, looks at both sides, claims, and starts to read.
    ///
    /// # Errors
    /// The first thing that is missing. If both sides are missing, both are told to the health.
    pub async fn begin(surroundings: Surroundings) -> Result<Self, Failure> {
        let (database, broker) = tokio::join!(database(&surroundings), broker(&surroundings));
        if let (Err(_), Err(failure)) = (&database, &broker) {
            surroundings.health.down(failure.component(), failure.to_string());
        }
        let (session, decoder) = database?;
        let (consumer, mut survey) = broker?;
        failpoint::hit(failpoint::CONSUME_BEFORE_CLAIM).await;
        let Surroundings { config, metrics, health, .. } = &surroundings;
        start::resolve(&session, &consumer, config, &mut survey).await?;
        let claim = Claim::take(&session, &config.source.name, &claimant(), &survey).await?;
        metrics.claims.inc();
        claim.check(&survey).map_err(Failure::OutOfLog)?;
        metrics.lag.claimed(claim.standings(&survey));
        health.up(Component::Claim);
        log(config, &claim, &survey);
        let bytes = usize::try_from(config.batch.max_bytes.as_u64()).unwrap_or(usize::MAX);
        let rows = usize::try_from(config.batch.max_rows).unwrap_or(usize::MAX);
        let hand_over = Arc::new(HandOver::new(
            decoder.clone(),
            Cap { rows, bytes },
            metrics.buffered_bytes.clone(),
        ));
        let thread = consume::start(consumer.clone(), &claim, hand_over.clone(), metrics.clone())?;
        let thread = Some(thread);
        Ok(Self { surroundings, session, decoder, claim, consumer, hand_over, thread })
    }
}

/// Connects, and learns the targets.
async fn database(surroundings: &Surroundings) -> Result<(Session, Decoder), Failure> {
    let Surroundings { config, health, .. } = surroundings;
    let session = Session::connect(&config.database, &config.source.name).await?;
    if let Some(unusable) = extension::look(&session).await? {
        return Err(unusable.into());
    }
    let catalog = Catalog::load(session.client()).await?;
    let format = Format::new(&config.format, &catalog)?;
    if health.up(Component::Database) {
        info!(database = %config.database.dsn, "connected to the database");
    }
    Ok((session, Decoder { catalog: Arc::new(catalog), format: Arc::new(format) }))
}

/// Makes a consumer, and learns the topics' partitions.
async fn broker(surroundings: &Surroundings) -> Result<(Arc<KafkaConsumer>, Survey), Failure> {
    let Surroundings { config, metrics, health, .. } = surroundings;
    let reporter = Reporter::new(metrics.clone(), health.clone());
    let asked = config.clone();
    // All of it blocks, the end of a consumer that is of no use included.
    let looked = tokio::task::spawn_blocking(move || {
        let consumer = kafka::consumer(&asked.kafka, reporter).map_err(Failure::Client)?;
        let Config { kafka, source, .. } = &*asked;
        let survey = survey(&consumer, &kafka.bootstrap_servers, &source.topics)?;
        Ok::<_, Failure>((Arc::new(consumer), survey))
    });
    let found = looked.await.map_err(|_| Failure::Background)??;
    if health.up(Component::Broker) {
        info!(brokers = config.kafka.bootstrap_servers, "found the topics");
    }
    Ok(found)
}

fn log(config: &Config, claim: &Claim, survey: &Survey) {
    let next_offsets: Vec<String> = claim
        .partitions()
        .map(|((topic, partition), claimed)| {
            let first = if claimed.first_seen { " (first seen)" } else { "" };
            format!("{topic}/{partition}:{}{first}", claimed.next_offset)
        })
        .collect();
    info!(
        source = config.source.name,
        partitions = next_offsets.len(),
        cluster_id = survey.cluster_id,
        next_offsets = next_offsets.join(" "),
        "claimed partitions"
    );
}

/// What progress shows as the holder of a claim: host and process.
fn claimant() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}
