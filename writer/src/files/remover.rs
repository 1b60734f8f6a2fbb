//! Removes staged files once their batch is committed, on a connection and a task of its own:
//! whatever is in its way, merging goes on.
//!
//! Every process of a source does it, for whatever batch: to remove a file twice is to remove it once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::lanes::in_parallel;
use super::removal::{self, Removals};
use super::store::Removed;
use super::{Files, StoreError};
use crate::backoff::{Backoff, shown};
use crate::failpoint;
use crate::session::{DatabaseError, Session};
use crate::worker::Surroundings;

/// How often it looks for removals that nobody has rung for: those of a writer that is gone.
const LOOK: Duration = Duration::from_secs(10);

/// The task that removes.
pub struct Running {
    last: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Remover {
    surroundings: Surroundings,
    files: Arc<Files>,
    root: String,
    session: Option<Session>,
}

#[derive(Debug, thiserror::Error)]
enum RemoveError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("remove staged files: {0}")]
    Store(#[from] StoreError),
}

/// Starts to remove, if files are staged.
pub fn start(surroundings: Surroundings) -> Option<Running> {
    let files = surroundings.files.clone()?;
    let root = files.staging_root()?;
    let (last, told) = watch::channel(false);
    let remover = Remover { surroundings, files, root, session: None };
    Some(Running { last, task: tokio::spawn(remover.run(told)) })
}

impl Running {
    /// Removes what is to go, as far as nothing is in its way and it takes no longer than that.
    pub async fn finish(self, bound: Duration) {
        self.last.send_replace(true);
        if tokio::time::timeout(bound, self.task).await.is_err() {
            warn!("not all staged files are removed; the next start goes on with it");
        }
    }
}

impl Remover {
    async fn run(mut self, mut last: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(Duration::from_millis(100), LOOK);
        let staged = self.surroundings.staged_files_merged.clone();
        loop {
            let is_last = *last.borrow_and_update();
            let removed = self.remove_all().await;
            let wait = match &removed {
                Ok(()) => {
                    backoff.reset();
                    LOOK
                }
                Err(error) => {
                    self.files.failed("remove");
                    let wait = backoff.wait();
                    warn!("{error}; trying again in {}", shown(wait));
                    wait
                }
            };
            if is_last {
                return;
            }
            tokio::select! {
                () = staged.notified(), if removed.is_ok() => {}
                _ = last.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// All that is to go now. What can't be removed does not keep the rest.
    async fn remove_all(&mut self) -> Result<(), RemoveError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        let source = self.surroundings.config.source.name.as_str();
        let (mut after, mut failure) = (0, None);
        while let Some(removals) = removal::next(&session, source, &self.root, after).await? {
            after = removals.id;
            failpoint::hit(failpoint::FILES_BEFORE_REMOVAL).await;
            match self.remove(&removals).await {
                Ok(()) => {
                    failpoint::hit(failpoint::FILES_BEFORE_ACK).await;
                    removal::acknowledge(&session, removals.id).await?;
                }
                Err(error) => failure = Some(error),
            }
        }
        // What the database fails with is not used again.
        self.session = Some(session);
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn connect(&self) -> Result<Session, DatabaseError> {
        let config = &self.surroundings.config;
        Session::connect(&config.database, &format!("{} files", config.source.name)).await
    }

    /// The files of one row; the first error, if there is one.
    async fn remove<'a>(&'a self, removals: &'a Removals) -> Result<(), StoreError> {
        let files: Vec<(&String, &String)> =
            removals.paths.iter().zip(&removals.versions).collect();
        let remove = |(path, version): &(&'a String, &'a String)| {
            let removed = self.remove_file(path, version);
            // One that can't be removed does not keep the rest.
            async move { Ok::<_, Infallible>(removed.await) }.boxed()
        };
        let removed = in_parallel(&files, self.files.config.parallelism, remove).await;
        removed.into_iter().flatten().collect()
    }

    async fn remove_file(&self, path: &str, version: &str) -> Result<(), StoreError> {
        let _place = self.files.places.acquire().await;
        match self.files.store.remove_staged(path, version).await? {
            Removed::Now => self.files.metrics.files_removed.inc(),
            Removed::Before => {}
            Removed::Replaced => {
                info!("{}/{path} is another file than the merged one, and stays", self.root);
            }
        }
        Ok(())
    }
}
