//! One claim's work: claim, read, and merge batch after batch, until something is lost or is to
//! change.
//!
//! All that a worker holds belongs to its claim: catalog, consumer, buffers. When it ends by a
//! failure, all of it is dropped, with the session. When it only is to own other partitions, it
//! merges what is read, and its session goes on to the next claim.

mod begin;
mod open;
mod owned;
mod reading;
mod surroundings;
mod transaction;
mod watch;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior};
use tracing::{info, warn};

use crate::acknowledge::{Committed, acknowledge};
use crate::backoff::{Backoff, shown};
use crate::claim::Claim;
use crate::consume::ConsumeError;
use crate::event_batch::EventBatch;
use crate::failpoint;
use crate::failure::Failure;
use crate::files::Prepared;
use crate::hand_over::{Spent, Taken};
use crate::health::Component;
use crate::ownership::{Key, Wanted};
use crate::retry::{Place, Verdict};
use crate::session::Session;
use crate::suspicion::Suspicion;

pub use open::{Database, open_database};
pub use surroundings::Surroundings;

use owned::Owned;
use reading::Reading;

/// How often a batch is tried again on the same session.
const RETRIES: u32 = 8;

/// How often a worker looks whether all is as it expects, also when nothing arrives.
const LOOK: Duration = Duration::from_secs(1);

/// A worker with its claim.
pub struct Worker {
    surroundings: Surroundings,
    number: usize,
    database: Database,
    /// What it is to own.
    wanted: BTreeSet<Key>,
    /// What of that its session owns: the partitions of its claim, and stopped ones.
    owned: Owned,
    claim: Claim,
    /// None if there is nothing to read.
    reading: Option<Reading>,
    has_merged: bool,
}

/// Why a worker ended without a failure. What was read is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The process is to end.
    ShutDown,
    /// It is to own other partitions than it does.
    Changed,
}

/// What has become of a batch's files.
#[derive(Debug, Default)]
struct PreparedFiles {
    prepared: Prepared,
    took: Duration,
}

/// What a worker has to do next.
enum Next {
    Lost(Failure),
    End(Ended),
    Look,
    Taken(Taken<ConsumeError>),
}

impl Worker {
    /// Merges batch after batch. After a shutdown or a change of what it is to own, it merges what
    /// is read already, and returns.
    ///
    /// # Errors
    /// What ended it.
    pub async fn work(&mut self, wanted: &mut Wanted) -> Result<Ended, Failure> {
        let mut ended = None;
        let mut looks = looks();
        let mut spare = Box::new(EventBatch::new());
        loop {
            match self.next(wanted, &mut looks, &mut spare, ended).await {
                Next::Lost(failure) => return Err(failure),
                Next::End(why) => ended = Some(why),
                Next::Look => ended = self.look().await?.then_some(Ended::Changed),
                Next::Taken(Taken::Batch(batch, spent)) => spare = self.merge(batch, spent).await?,
                Next::Taken(Taken::Ended(Some(failure))) => return Err(failure.into()),
                // Nobody but this loop tells the consumer to stop.
                Next::Taken(Taken::Ended(None)) => return ended.ok_or(Failure::Background),
            }
            if ended.is_some() {
                self.stop_reading();
            }
        }
    }

    /// Waits for what comes next; once the worker is to end, for what was read alone.
    async fn next(
        &self,
        wanted: &mut Wanted,
        looks: &mut Interval,
        spare: &mut Box<EventBatch>,
        ended: Option<Ended>,
    ) -> Next {
        let mut shutdown = self.surroundings.shutdown.clone();
        tokio::select! {
            biased;
            reason = self.session().lost() => Next::Lost(Failure::Database((*reason).clone())),
            _ = shutdown.wait_for(|stop| *stop), if ended.is_none() => Next::End(Ended::ShutDown),
            _ = wanted.wait_for(|wanted| self.is_other(wanted.as_ref())), if ended.is_none() => {
                Next::End(Ended::Changed)
            }
            _ = looks.tick(), if ended.is_none() => Next::Look,
            taken = self.take(std::mem::take(spare), ended.is_some()) => Next::Taken(taken),
        }
    }

    /// Whether it has committed a batch.
    pub fn has_merged(&self) -> bool {
        self.has_merged
    }

    fn session(&self) -> &Session {
        &self.database.session
    }

    fn is_other(&self, wanted: Option<&BTreeSet<Key>>) -> bool {
        wanted.is_some_and(|wanted| *wanted != self.wanted)
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
        let mut suspicion = Suspicion::default();
        let mut files = None;
        let committed = loop {
            let failure = match self.attempt(&batch, &mut files, suspicion.suspected()).await {
                Ok(committed) => break committed,
                Err(failure) => failure,
            };
            if failure.leaves_commit_unknown() {
                self.surroundings.known().in_doubt(&batch.positions());
            }
            let may_be_an_event =
                matches!(&failure, Failure::Database(error) if suspicion.note(error));
            let goes_on = failure.verdict() == Verdict::SameBatch || may_be_an_event;
            if !goes_on || backoff.attempts() >= RETRIES {
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

    /// Gets the files ready, if they are not, and merges.
    async fn attempt(
        &self,
        batch: &EventBatch,
        prepared: &mut Option<PreparedFiles>,
        suspected: Option<&str>,
    ) -> Result<Committed, Failure> {
        let files = match prepared {
            Some(files) => files,
            None => prepared.insert(self.prepare_files(batch).await?),
        };
        self.transact(batch, files, suspected).await
    }

    async fn prepare_files(&self, batch: &EventBatch) -> Result<PreparedFiles, Failure> {
        let Some(files) = &self.surroundings.files else { return Ok(PreparedFiles::default()) };
        let started = Instant::now();
        let prepared = files.prepare(batch).await?;
        if self.surroundings.health.up(Component::Files) {
            info!("the store of the files answers again");
        }
        Ok(PreparedFiles { prepared, took: started.elapsed() })
    }

    async fn try_again(&self, failure: &Failure, backoff: &mut Backoff) -> Result<(), Failure> {
        let Surroundings { metrics, health, .. } = &self.surroundings;
        let sqlstate = match failure {
            Failure::Database(error) => error.sqlstate().unwrap_or_default(),
            _ => "",
        };
        health.down(failure.component(), failure.to_string());
        let wait = backoff.wait();
        warn!("{failure}; trying the same batch again in {}", shown(wait));
        if failure.component() != Component::Files {
            metrics.retries.with_label_values(&[sqlstate]).inc();
            self.session().roll_back(Place::Stage).await?;
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn acknowledge(&mut self, batch: &EventBatch, spent: Spent, committed: &Committed) {
        failpoint::hit(failpoint::ACKNOWLEDGE_BEFORE).await;
        self.has_merged = true;
        self.claim.advance(&committed.positions);
        self.surroundings.known().committed(&committed.positions);
        self.surroundings.committed.notify_one();
        self.surroundings.staged_files_merged.notify_one();
        if let Some(reading) = &self.reading {
            let metrics = &self.surroundings.metrics;
            acknowledge(reading.consumer(), metrics, batch, spent, committed);
        }
    }
}

/// Ticks for looks; the first comes after a while.
fn looks() -> Interval {
    let mut looks = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
