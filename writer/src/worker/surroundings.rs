//! What all workers of a process share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::config::Config;
use crate::files::Files;
use crate::health::Health;
use crate::known_progress::KnownProgress;
use crate::metrics::Metrics;
use crate::server::{OldPrimary, Server, ServerHistory};
use crate::stopped_partition::StoppedPartitions;

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
    /// Rung after each commit, for the one who publishes what batches have to say.
    pub committed: Arc<Notify>,
    /// The files of datasets, if they are looked at.
    pub files: Option<Arc<Files>>,
    /// Rung when staged files are to be removed.
    pub staged_files_merged: Arc<Notify>,
    /// Turns true when the process is to end.
    pub shutdown: watch::Receiver<bool>,
    /// This process among the source's writers, by a random number.
    pub writer: Uuid,
    /// What progress and the heartbeat show as this process: host and process id.
    pub claimant: Arc<str>,
    /// Over all claims.
    known: Arc<Mutex<KnownProgress>>,
    servers: Arc<Mutex<ServerHistory>>,
}

impl Surroundings {
    /// Those of a process that has not seen anything yet.
    pub fn new(
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        stopped: Arc<StoppedPartitions>,
        files: Option<Arc<Files>>,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            config,
            metrics,
            health,
            stopped,
            committed: Arc::default(),
            files,
            staged_files_merged: Arc::default(),
            shutdown,
            writer: Uuid::from_u128(fastrand::u128(..)),
            claimant: format!("{}:{}", host.trim(), std::process::id()).into(),
            known: Arc::default(),
            servers: Arc::default(),
        }
    }

    /// What the process knows to be committed.
    pub fn known(&self) -> MutexGuard<'_, KnownProgress> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session is on this server. Says whether a failover brought it there.
    ///
    /// # Errors
    /// If the server was left behind by one that this process has seen.
    pub fn observe(&self, server: Server) -> Result<bool, OldPrimary> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).observe(server)
    }
}
