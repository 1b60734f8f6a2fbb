//! The files of datasets: whether they are where their events say, and how they get there.
//!
//! Before a batch is staged in the database, [`Files::prepare`] looks at all files that it names. An
//! event whose file is missing is rejected, alone; a store that does not answer holds up the batch.
//! With a staging root, files that pods have put there are then copied to their final places, where
//! nothing is ever overwritten. That needs no transaction: a copy that is made again is the same.
//!
//! Which staged files are to go, [`record_removals`] writes into the batch's transaction. A
//! [`remover`] beside the workers reads it there and removes them, so that it is done after the commit
//! alone, and whatever is killed before or after.

mod bucket;
mod digest;
mod directory;
mod lanes;
mod look;
mod prepare;
mod removal;
pub mod remover;
mod s3_signature;
mod staging_directory;
mod standing;
mod store;
mod threads;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::FilesConfig;
use crate::metrics::Metrics;

pub use look::StoreError;
pub use prepare::{Prepared, StagedFile};
pub use removal::record_removals;

use store::Store;

/// What all workers of a process share of it.
#[derive(Debug)]
pub struct Files {
    config: FilesConfig,
    store: Store,
    /// One for each file that is worked on.
    places: Semaphore,
    metrics: Arc<Metrics>,
}

impl Files {
    /// Nothing is looked at yet.
    ///
    /// # Errors
    /// If no client of the store can be made.
    pub fn new(config: &FilesConfig, metrics: Arc<Metrics>) -> Result<Self, StoreError> {
        Ok(Self {
            config: config.clone(),
            store: Store::new(config)?,
            places: Semaphore::new(config.parallelism),
            metrics,
        })
    }

    /// Whether the roots are there, and what is to be written there can be.
    ///
    /// # Errors
    /// What the store says.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.store.probe().await?;
        if self.config.staging_root.is_some() {
            self.store.probe_writing().await?;
        }
        Ok(())
    }

    /// Where staged files are, if some are to be copied.
    fn staging_root(&self) -> Option<String> {
        self.config.staging_root.as_ref().map(ToString::to_string)
    }
}
