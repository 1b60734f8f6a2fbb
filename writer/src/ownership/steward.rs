//! Keeps a process's heartbeat, and tells its workers what to own.
//!
//! It has a connection of its own, so that a worker's long merge does not look like a death. When
//! that connection is lost, the workers keep what they own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};
use uuid::Uuid;

use super::allocation::{Key, Owner, Situation, allocate};
use super::lock;
use super::topic_watch::Seen;
use crate::backoff::{Backoff, shown};
use crate::failure::{Failure, LoudStop};
use crate::health::Component;
use crate::retry::Verdict;
use crate::session::Session;
use crate::worker::{Surroundings, open_database};

/// How often it looks. The database writes a beat at most once a second.
const INTERVAL: Duration = Duration::from_millis(200);

/// A process that has not seen its topics for so long can't take partitions.
const BLIND: Duration = Duration::from_secs(30);

/// The steward of a process.
pub struct Steward {
    surroundings: Surroundings,
    topics: watch::Receiver<Option<Seen>>,
    workers: Vec<watch::Sender<Option<BTreeSet<Key>>>>,
    writers: usize,
}

impl Steward {
    /// A steward that has told nobody anything yet.
    pub fn new(
        surroundings: Surroundings,
        topics: watch::Receiver<Option<Seen>>,
        workers: Vec<watch::Sender<Option<BTreeSet<Key>>>>,
    ) -> Self {
        Self { surroundings, topics, workers, writers: 0 }
    }

    /// Beats and decides until it is dropped.
    ///
    /// # Errors
    /// A person has to look: the only way that it ends.
    pub async fn run(mut self) -> Result<(), LoudStop> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let Err(failure) = self.keep(&mut backoff).await;
            self.surroundings.health.down(failure.component(), failure.to_string());
            self.say_that_nothing_is_claimed();
            if failure.verdict() == Verdict::Stop {
                return Err(LoudStop(failure.to_string()));
            }
            let wait = backoff.wait();
            warn!("keep the heartbeat: {failure}; trying again in {}", shown(wait));
            tokio::time::sleep(wait).await;
        }
    }

    /// One session's worth of it.
    async fn keep(&mut self, backoff: &mut Backoff) -> Result<std::convert::Infallible, Failure> {
        let Surroundings { config, .. } = &self.surroundings;
        let session = open_database(&self.surroundings, &config.source.name).await?.session;
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = topics_seen(&mut self.topics) => {}
            }
            self.look(&session).await?;
            backoff.reset();
        }
    }

    /// Beats, looks who owns what, and decides.
    async fn look(&mut self, session: &Session) -> Result<(), Failure> {
        let Surroundings { config, writer, claimant, .. } = &self.surroundings;
        let (source, writer) = (config.source.name.as_str(), *writer);
        let seen = self.topics.borrow_and_update().clone();
        let able = !*self.surroundings.shutdown.borrow()
            && seen.as_ref().is_some_and(|seen| seen.at.elapsed() < BLIND);
        let live = lock::heartbeat(session, writer, source, claimant, able).await?;
        let Some(seen) = seen else {
            self.say_that_nothing_is_claimed();
            return Ok(());
        };
        let owners = lock::owners(session, source, writer, &seen.partitions).await?;
        self.decide(&owners, &live, writer);
        Ok(())
    }

    /// Unless the workers were told what to own: then it is theirs to say.
    fn say_that_nothing_is_claimed(&self) {
        if self.workers.iter().all(|worker| worker.borrow().is_none()) {
            self.surroundings.health.down(Component::Claim, "no partitions are claimed");
        }
    }

    fn decide(&mut self, owners: &BTreeMap<Key, Owner>, live: &[Uuid], writer: Uuid) {
        let wanted: Vec<BTreeSet<Key>> =
            self.workers.iter().map(|worker| worker.borrow().clone().unwrap_or_default()).collect();
        let situation = Situation {
            partitions: owners,
            writers: live.len(),
            rank: live.iter().position(|other| *other == writer),
        };
        let decided = allocate(&wanted, situation);
        if self.writers != live.len() {
            self.writers = live.len();
            self.surroundings.metrics.live_writers.set(i64::try_from(live.len()).unwrap_or(0));
            let partitions = owners.len();
            info!(writers = self.writers, partitions, "the live writers of this source changed");
        }
        for (sender, share) in self.workers.iter().zip(decided) {
            sender.send_if_modified(|before| {
                let changed = before.as_ref() != Some(&share);
                *before = Some(share);
                changed
            });
        }
    }
}

/// Waits until the topics are seen once more: a process that starts does not wait for the next tick.
async fn topics_seen(topics: &mut watch::Receiver<Option<Seen>>) {
    if topics.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
