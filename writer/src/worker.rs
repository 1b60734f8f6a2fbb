//! One session's work: claim, read, and merge batch after batch, until something is lost.
//!
//! All that a worker holds belongs to its claim: session, catalog, consumer, buffers. When it ends
//! by a failure, all of it is dropped.

mod begin;
mod look;
mod transaction;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use crate::acknowledge::{Committed, acknowledge};
use crate::backoff::{Backoff, shown};
use crate::claim::Claim;
use crate::config::Config;
use crate::consume::ConsumeError;
use crate::event_batch::EventBatch;
use crate::failpoint;
use crate::failure::Failure;
use crate::hand_over::{Decoder, HandOver, Spent, Taken};
use crate::health::{Component, Health};
use crate::kafka::KafkaConsumer;
use crate::metrics::Metrics;
use crate::retry::{Place, Verdict};
use crate::session::Session;
use crate::stopped_partition::{Mark, PartitionStop, StoppedPartitions};

/// How often a batch is tried again on the same session.
const RETRIES: u32 = 8;

/// How long the Kafka client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

/// What all workers of a process share.
#[derive(Clone)]
pub struct Surroundings {
    /// The configuration.
    pub config: Arc<Config>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health.
    pub health: Arc<Health>,
    /// What is stopped.
    pub stopped: Arc<StoppedPartitions>,
    /// Turns true when the process is to end.
    pub shutdown: watch::Receiver<bool>,
}

impl Surroundings {
    /// Stops partitions of a claim until their progress is another than it is now.
    pub fn stop_partitions(&self, claim: &Claim, stops: &[PartitionStop]) {
        for stop in stops {
            if let Some(claimed) = claim.get(&stop.topic, stop.partition) {
                let mark = Mark { token: claimed.token, next_offset: claimed.next_offset };
                self.stopped.stop(stop, mark);
            }
        }
    }
}

/// A worker with its claim.
pub struct Worker {
    surroundings: Surroundings,
    session: Session,
    decoder: Decoder,
    claim: Claim,
    consumer: Arc<KafkaConsumer>,
    hand_over: Arc<HandOver<ConsumeError>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// The claim, with what was committed under it.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Merges batch after batch. After a shutdown it merges what is read already, and returns.
    ///
    /// # Errors
    /// What ended it. `merged` has been called for each committed batch until then.
    pub async fn work(&mut self, mut merged: impl FnMut(&Claim)) -> Result<(), Failure> {
        let mut shutdown = self.surroundings.shutdown.clone();
        let mut draining = false;
        let mut spare = Box::new(EventBatch::new());
        let mut look = tokio::time::interval(look::INTERVAL);
        loop {
            let taken = tokio::select! {
                biased;
                reason = self.session.lost() => return Err(Failure::Database((*reason).clone())),
                _ = shutdown.wait_for(|stop| *stop), if !draining => {
                    draining = true;
                    self.hand_over.stop();
                    continue;
                }
                _ = look.tick() => {
                    if self.released().await? {
                        return Err(Failure::Released);
                    }
                    continue;
                }
                taken = self.hand_over.take(std::mem::take(&mut spare)) => taken,
            };
            match taken {
                Taken::Batch(batch, spent) => {
                    spare = self.merge(batch, spent).await?;
                    merged(&self.claim);
                }
                Taken::Ended(None) => return Ok(()),
                Taken::Ended(Some(failure)) => return Err(failure.into()),
            }
        }
    }

    /// Lets the Kafka client send what it still has to, within a bound.
    pub async fn say_goodbye(mut self) {
        let Some(thread) = self.thread.take() else { return };
        // The thread's is the last reference then, and the consumer is closed there.
        drop(self);
        let joined = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(GOODBYE, joined).await.is_err() {
            warn!("the Kafka client did not end in time; offsets at the broker may be old");
        }
    }

    /// Merges one batch, again and again if it is the world's fault. Gives the batch back, to be
    /// used anew.
    async fn merge(
        &mut self,
        mut batch: Box<EventBatch>,
        spent: Spent,
    ) -> Result<Box<EventBatch>, Failure> {
        batch.seal();
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let committed = loop {
            let failure = match self.transact(&batch).await {
                Ok(committed) => break committed,
                Err(failure) => failure,
            };
            if failure.verdict() != Verdict::SameBatch || backoff.attempts() >= RETRIES {
                return Err(failure);
            }
            self.try_again(&failure, &mut backoff).await?;
        };
        if backoff.attempts() > 0 {
            self.surroundings.health.up(Component::Database);
        }
        self.acknowledge(&batch, spent, &committed).await;
        Ok(batch)
    }

    async fn try_again(&self, failure: &Failure, backoff: &mut Backoff) -> Result<(), Failure> {
        let Surroundings { metrics, health, .. } = &self.surroundings;
        let sqlstate = match failure {
            Failure::Database(error) => error.sqlstate().unwrap_or_default(),
            _ => "",
        };
        metrics.retries.with_label_values(&[sqlstate]).inc();
        health.down(Component::Database, failure.to_string());
        let wait = backoff.wait();
        warn!("{failure}; trying the same batch again in {}", shown(wait));
        self.session.roll_back(Place::Stage).await?;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn acknowledge(&mut self, batch: &EventBatch, spent: Spent, committed: &Committed) {
        failpoint::hit(failpoint::ACKNOWLEDGE_BEFORE).await;
        self.claim.advance(&committed.positions);
        acknowledge(&self.consumer, &self.surroundings.metrics, batch, spent, committed);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.hand_over.stop();
    }
}
