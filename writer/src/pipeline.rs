//! consume → decode → batch → stage → merge → acknowledge, for as long as the process lives.
//!
//! A [`Worker`] does it for one claim. Here is what happens between a worker's claims: the verdict
//! on what ended the last one, and the wait before the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::backoff::{Backoff, shown};
use crate::failure::{Failure, LoudStop};
use crate::ownership::{Key, Wanted};
use crate::retry::Verdict;
use crate::worker::{Database, Ended, Surroundings, Worker};

/// The life of one worker of a process.
pub struct Pipeline {
    surroundings: Surroundings,
    number: usize,
    wanted: Wanted,
    backoff: Backoff,
}

impl Pipeline {
    /// A worker that owns nothing yet. `wanted` is what it is to own.
    pub fn new(surroundings: Surroundings, number: usize, wanted: Wanted) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        Self { surroundings, number, wanted, backoff }
    }

    /// Runs until a shutdown; then what is read is merged first.
    ///
    /// # Errors
    /// A person has to look; the message says at what.
    pub async fn run(mut self) -> Result<(), LoudStop> {
        let mut shutdown = self.surroundings.shutdown.clone();
        let mut database = None;
        loop {
            let wanted = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
                wanted = self.next_wanted() => wanted,
            };
            let begun = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
                begun = Worker::begin(
                    self.surroundings.clone(), self.number, database.take(), wanted,
                ) => begun,
            };
            let failure = match begun {
                Ok(worker) => match self.work(worker).await {
                    Ok(None) => return Ok(()),
                    Ok(going_on) => {
                        database = going_on;
                        continue;
                    }
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            let wait = self.judge(&failure)?;
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
                // Without what it could not claim, it may go better.
                Ok(()) = self.wanted.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Waits until there is something to own.
    async fn next_wanted(&mut self) -> BTreeSet<Key> {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            match wanted {
                Some(wanted) if !wanted.is_empty() => return wanted,
                // A writer to which no partition falls is as well as one that has some.
                Some(_) => {
                    self.surroundings.metrics.lag.claimed(self.number, []);
                    self.surroundings.health.claimed(self.number);
                }
                None => {}
            }
            if self.wanted.changed().await.is_err() {
                // The process ends.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Lets a worker work until it ends; none if that is for good.
    async fn work(&mut self, mut worker: Worker) -> Result<Option<Database>, Failure> {
        let ended = worker.work(&mut self.wanted).await;
        if worker.has_merged() {
            self.backoff.reset();
        }
        match ended {
            Ok(Ended::ShutDown) => {
                worker.say_goodbye().await;
                info!(worker = self.number, "merged everything that was read");
                Ok(None)
            }
            Ok(Ended::Changed) => {
                let wanted = self.wanted.borrow().clone().unwrap_or_default();
                worker.give_back(&wanted).await.map(Some)
            }
            Err(failure) => {
                worker.stop(failure.stops(), &BTreeMap::new());
                worker.end_reading();
                Err(failure)
            }
        }
    }

    /// Says what ended a worker, and how long to wait before the next.
    fn judge(&mut self, failure: &Failure) -> Result<Duration, LoudStop> {
        let Surroundings { metrics, health, .. } = &self.surroundings;
        if failure.leaves_commit_unknown() {
            metrics.unknown_commits.inc();
        }
        let verdict = failure.verdict();
        if verdict == Verdict::StopPartitions {
            // Each has been logged, and is shown; the others go on at once.
            return Ok(Duration::ZERO);
        }
        health.unclaimed(self.number);
        health.down(failure.component(), failure.to_string());
        if verdict == Verdict::Stop {
            return Err(LoudStop(failure.to_string()));
        }
        let wait = self.backoff.wait();
        if verdict == Verdict::Fenced {
            metrics.fenced_merges.inc();
        }
        let again = format!("{failure}; claiming again in {}", shown(wait));
        match failure {
            Failure::OldPrimary(_) => error!("{again}"),
            _ => warn!("{again}"),
        }
        Ok(wait)
    }
}
