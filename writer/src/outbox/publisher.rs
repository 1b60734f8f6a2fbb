//! Publishes the outbox, on a connection and a task of its own: whatever is in its way, merging goes
//! on.
//!
//! Of the writers of a source one publishes: the owner of a partition that no topic has. So the
//! order is that of the table, and nothing is published twice while nobody dies; a dead or hung
//! owner is replaced as that of any partition is.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureRecord;
use rdkafka::producer::future_producer::DeliveryFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::batch_file;
use super::message::{Teller, file_content, file_name};
use super::replicas::{ReplicaError, Replicas};
use super::table::{self, OutboxRow};
use crate::backoff::{Backoff, shown};
use crate::claim::look;
use crate::config::{BatchFiles, OutboxConfig};
use crate::failpoint;
use crate::kafka::{KafkaProducer, Reporter, producer};
use crate::ownership::{Key, lock};
use crate::position::{Partition, Topic};
use crate::server::OldPrimary;
use crate::session::{DatabaseError, Session};
use crate::worker::Surroundings;

/// How often it looks for rows that nobody has rung for: those of a writer that is gone.
const LOOK: Duration = Duration::from_secs(1);

/// How often it looks whether replicas have a row.
const HELD: Duration = Duration::from_millis(50);

/// What is taken at a time: of the rows that begin within it, all.
const MAX_BYTES: i64 = 1 << 20;

/// The task that publishes.
pub struct Running {
    last: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Publisher {
    surroundings: Surroundings,
    config: OutboxConfig,
    session: Option<Session>,
    producer: Option<KafkaProducer>,
    /// What that one's client has said.
    reporter: Reporter,
    replicas: Replicas,
}

/// What came of one look at the outbox.
enum Round {
    /// All that was taken is published.
    Published,
    /// There is nothing, or another process publishes.
    Idle,
    /// A replica does not have the next row yet.
    Held,
}

#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    OldPrimary(#[from] OldPrimary),
    #[error("publish outbox: {0}")]
    Replica(#[from] ReplicaError),
    #[error("publish outbox: Kafka does not take a message: {error}{trouble}")]
    Broker { error: KafkaError, trouble: String },
    #[error("publish outbox: write {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("publish outbox: make a message: {0}")]
    Message(#[from] serde_json::Error),
    #[error("publish outbox: a background task ended early")]
    Background,
}

impl PublishError {
    /// The metric's label.
    fn cause(&self) -> &'static str {
        match self {
            Self::Database(_) | Self::OldPrimary(_) | Self::Message(_) | Self::Background => {
                "database"
            }
            Self::Replica(_) => "replica",
            Self::Broker { .. } => "broker",
            Self::File { .. } => "file",
        }
    }
}

/// Starts to publish, if that is configured.
pub fn start(surroundings: Surroundings) -> Option<Running> {
    let config = surroundings.config.outbox.clone()?;
    let replicas = Replicas::new(&config.replicas);
    let reporter = Reporter::new(surroundings.metrics.clone(), surroundings.health.clone());
    let publisher =
        Publisher { surroundings, config, session: None, producer: None, reporter, replicas };
    let (last, told) = watch::channel(false);
    Some(Running { last, task: tokio::spawn(publisher.run(told)) })
}

impl Running {
    /// Publishes what is there, as far as nothing is in its way and it takes no longer than that.
    pub async fn finish(self, bound: Duration) {
        self.last.send_replace(true);
        if tokio::time::timeout(bound, self.task).await.is_err() {
            warn!("not all of the outbox is published; the next start goes on with it");
        }
    }
}

impl Publisher {
    async fn run(mut self, mut last: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let committed = self.surroundings.committed.clone();
        loop {
            let is_last = *last.borrow_and_update();
            let published = self.publish().await;
            let wait = match &published {
                Ok(Round::Published) => {
                    backoff.reset();
                    continue;
                }
                Ok(Round::Idle) => LOOK,
                Ok(Round::Held) => HELD,
                Err(error) => self.fail(error, &mut backoff).await,
            };
            if is_last {
                return;
            }
            tokio::select! {
                () = committed.notified(), if matches!(published, Ok(Round::Idle)) => {}
                _ = last.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Nothing of what failed is used again.
    async fn fail(&mut self, error: &PublishError, backoff: &mut Backoff) -> Duration {
        self.surroundings.metrics.outbox_failures.with_label_values(&[error.cause()]).inc();
        let wait = backoff.wait();
        warn!("{error}; trying again in {}", shown(wait));
        self.session = None;
        if let Some(producer) = self.producer.take() {
            // Its end waits for a thread.
            let _ = tokio::task::spawn_blocking(move || drop(producer)).await;
        }
        wait
    }

    /// One look: own, take, hold back, send, acknowledge.
    async fn publish(&mut self) -> Result<Round, PublishError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        let round = self.publish_by(&session).await?;
        self.session = Some(session);
        Ok(round)
    }

    async fn connect(&self) -> Result<Session, PublishError> {
        let Surroundings { config, writer, .. } = &self.surroundings;
        let name = format!("{} outbox", config.source.name);
        let session = Session::connect(&config.database, &name).await?;
        // The workers have the numbers before.
        lock::open_session(&session, *writer, config.workers.count).await?;
        Ok(session)
    }

    async fn publish_by(&mut self, session: &Session) -> Result<Round, PublishError> {
        let Surroundings { config, metrics, .. } = &self.surroundings;
        let source = config.source.name.as_str();
        // A primary that was left behind has rows of batches that never were.
        self.surroundings.observe(look(session, source).await?.server)?;
        if lock::own(session, source, &publication()).await?.partitions.is_empty() {
            metrics.outbox_waiting.set(0);
            metrics.outbox_oldest_seconds.set(0.0);
            return Ok(Round::Idle);
        }
        let (waiting, oldest_seconds) = table::backlog(session, source).await?;
        metrics.outbox_waiting.set(waiting);
        metrics.outbox_oldest_seconds.set(oldest_seconds);
        let mut rows = table::take(session, source, MAX_BYTES).await?;
        if rows.is_empty() {
            return Ok(Round::Idle);
        }
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        rows.truncate(self.replicas.replayed(&ids, &config.database, source).await?);
        if rows.is_empty() {
            return Ok(Round::Held);
        }
        failpoint::hit(failpoint::OUTBOX_BEFORE_PUBLISH).await;
        let (sent, failure) = self.send(&rows).await;
        failpoint::hit(failpoint::OUTBOX_BEFORE_ACK).await;
        table::acknowledge(session, &ids[..sent]).await?;
        debug!("published {sent} rows of the outbox");
        failure.map_or(Ok(Round::Published), Err)
    }

    /// Sends rows in their order, and waits for the broker. Answers how many, from the first on,
    /// it has taken whole.
    async fn send(&mut self, rows: &[OutboxRow]) -> (usize, Option<PublishError>) {
        let mut queued = Vec::with_capacity(rows.len());
        let mut failure = None;
        for row in rows {
            match self.queue(row).await {
                Ok(deliveries) => queued.push(deliveries),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let mut sent = 0;
        for deliveries in queued {
            for delivery in deliveries {
                match delivery.await {
                    Ok(Ok(_)) => self.surroundings.metrics.outbox_published.inc(),
                    Ok(Err((error, _))) => return (sent, Some(self.refused(error))),
                    Err(_) => return (sent, Some(PublishError::Background)),
                }
            }
            sent += 1;
        }
        (sent, failure)
    }

    /// Hands the messages of a row to the client; its file is written before.
    async fn queue(&mut self, row: &OutboxRow) -> Result<Vec<DeliveryFuture>, PublishError> {
        let config = self.surroundings.config.clone();
        let teller = Teller { origin: &self.config.origin, source: &config.source.name };
        let messages = match &self.config.files {
            Some(files) => {
                let name = file_name(row);
                write_file(files, name.clone(), file_content(row.id, &row.said.datasets)?).await?;
                vec![teller.with_file(row, &format!("{}{name}", files.prefix))?]
            }
            None => {
                let max_bytes = self.config.max_message_bytes.as_u64();
                teller.with_datasets(row, usize::try_from(max_bytes).unwrap_or(usize::MAX))?
            }
        };
        let producer = self.producer()?;
        let mut deliveries = Vec::with_capacity(messages.len());
        for message in &messages {
            // One key, so one partition: their order is kept.
            let record =
                FutureRecord::to(&self.config.topic).key(&config.source.name).payload(message);
            let queued = producer.send_result(record);
            deliveries.push(queued.map_err(|(error, _)| self.refused(error))?);
        }
        Ok(deliveries)
    }

    fn producer(&mut self) -> Result<KafkaProducer, PublishError> {
        if let Some(producer) = &self.producer {
            return Ok(producer.clone());
        }
        let Surroundings { config, metrics, health, .. } = &self.surroundings;
        self.reporter = Reporter::new(metrics.clone(), health.clone());
        let max_bytes = self.config.max_message_bytes.as_u64();
        let made = producer(&config.kafka, max_bytes, self.reporter.clone());
        let made = made.map_err(|error| self.refused(error))?;
        Ok(self.producer.insert(made).clone())
    }

    fn refused(&self, error: KafkaError) -> PublishError {
        let is_silence = error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut);
        let trouble = self.reporter.trouble().filter(|_| is_silence);
        let trouble = trouble.map(|reason| format!(" ({reason})")).unwrap_or_default();
        PublishError::Broker { error, trouble }
    }
}

/// What stands for the right to publish: a partition of a topic whose name no topic can have.
fn publication() -> BTreeSet<Key> {
    BTreeSet::from([(Topic::from(""), Partition(0))])
}

async fn write_file(
    files: &BatchFiles,
    name: String,
    content: Vec<u8>,
) -> Result<(), PublishError> {
    let directory = files.directory.clone();
    let path = directory.join(&name);
    let written =
        tokio::task::spawn_blocking(move || batch_file::write(&directory, &name, &content));
    let written = written.await.map_err(|_| PublishError::Background)?;
    written.map_err(|error| PublishError::File { path, error })
}
