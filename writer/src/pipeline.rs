//! consume → decode → batch → stage → merge → acknowledge, for as long as the process lives.
//!
//! A [`Worker`] does it for one claim. Here is what happens between claims: the verdict on what
//! ended the last one, and the wait before the next.

use std::collections::HashMap;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::backoff::{Backoff, shown};
use crate::claim::Claim;
use crate::consume::ConsumeError;
use crate::failure::{Failure, LoudStop};
use crate::health::Component;
use crate::position::{Offset, Partition, Topic};
use crate::retry::Verdict;
use crate::worker::{Surroundings, Worker};

/// Runs until a shutdown (then what is read is merged first) or a loud stop.
///
/// # Errors
/// A person has to look; the message says at what.
pub async fn run(surroundings: Surroundings) -> Result<(), LoudStop> {
    let mut shutdown = surroundings.shutdown.clone();
    let drain_timeout = surroundings.config.shutdown.drain_timeout;
    let mut pipeline = Pipeline::new(surroundings);
    let overdue = async {
        // An error means that nobody is left to ask for a shutdown.
        let _ = shutdown.wait_for(|stop| *stop).await;
        tokio::time::sleep(drain_timeout).await;
    };
    tokio::select! {
        ended = pipeline.run() => ended,
        () = overdue => {
            warn!(
                "not everything that was read is merged within shutdown.drain_timeout ({}); the \
                 next start reads it again",
                shown(drain_timeout),
            );
            Ok(())
        }
    }
}

struct Pipeline {
    surroundings: Surroundings,
    /// What this process knows to be committed, over all claims.
    committed: HashMap<(Topic, Partition), Offset>,
    backoff: Backoff,
    /// Another writer has the partitions: it is not to be harassed.
    fenced: Backoff,
}

impl Pipeline {
    fn new(surroundings: Surroundings) -> Self {
        let seconds = Duration::from_secs;
        Self {
            surroundings,
            committed: HashMap::new(),
            backoff: Backoff::new(Duration::from_millis(100), seconds(10)),
            fenced: Backoff::new(seconds(5), seconds(60)),
        }
    }

    async fn run(&mut self) -> Result<(), LoudStop> {
        let mut shutdown = self.surroundings.shutdown.clone();
        loop {
            let begun = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
                begun = Worker::begin(self.surroundings.clone()) => begun,
            };
            let failure = match begun {
                Ok(worker) => match self.work(worker).await {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            let wait = self.judge(&failure)?;
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Lets a worker work until it ends.
    async fn work(&mut self, mut worker: Worker) -> Result<(), Failure> {
        self.notice_rewinds(worker.claim());
        let (committed, backoff, fenced) =
            (&mut self.committed, &mut self.backoff, &mut self.fenced);
        let worked = worker
            .work(|claim| {
                backoff.reset();
                fenced.reset();
                remember(committed, claim);
            })
            .await;
        if let Err(Failure::Consume(ConsumeError::Partitions(stops))) = &worked {
            self.surroundings.stop_partitions(worker.claim(), stops);
        }
        worked?;
        worker.say_goodbye().await;
        info!("merged everything that was read");
        Ok(())
    }

    /// Progress below what was committed: the database went back, and so does reading.
    fn notice_rewinds(&mut self, claim: &Claim) {
        for (key, claimed) in claim.partitions() {
            let known = self.committed.get(key).copied();
            if let Some(known) = known.filter(|known| claimed.next_offset < *known) {
                self.surroundings.metrics.rewinds.inc();
                warn!(
                    "progress of {}/{} went back from offset {known} to {}: the database lost \
                     commits (a failover or a restored backup); reading again from there",
                    key.0, key.1, claimed.next_offset,
                );
            }
        }
        remember(&mut self.committed, claim);
    }

    /// Says what ended a worker, and how long to wait before the next.
    fn judge(&mut self, failure: &Failure) -> Result<Duration, LoudStop> {
        let Surroundings { metrics, health, .. } = &self.surroundings;
        health.down(Component::Claim, "no partitions are claimed");
        health.down(failure.component(), failure.to_string());
        if failure.leaves_commit_unknown() {
            metrics.unknown_commits.inc();
        }
        match failure.verdict() {
            Verdict::Stop => Err(LoudStop(failure.to_string())),
            Verdict::Fenced => {
                metrics.fenced_merges.inc();
                let wait = self.fenced.wait();
                error!(
                    "{failure}; two writers run for this source, or this one was taken for dead; \
                     claiming again in {}",
                    shown(wait)
                );
                Ok(wait)
            }
            Verdict::SameBatch | Verdict::ClaimAgain => {
                let wait = self.backoff.wait();
                warn!("{failure}; trying again in {}", shown(wait));
                Ok(wait)
            }
        }
    }
}

fn remember(committed: &mut HashMap<(Topic, Partition), Offset>, claim: &Claim) {
    for (key, claimed) in claim.partitions() {
        committed.insert(key.clone(), claimed.next_offset);
    }
}
