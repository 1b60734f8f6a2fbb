//! What a look at a place finds, and what may go wrong with a store.

use std::fmt::Display;
use std::time::Duration;

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Missing,
    /// A file.
    File(Found),
    /// Something that can be no dataset's file, and why not.
    Unfit(String),
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its length in bytes.
    pub size: u64,
    /// What is another one when its bytes are.
    pub version: String,
}

/// The store does not do what it is asked: nothing that an event is to blame for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(String);

impl StoreError {
    /// What the store said, while it was asked to do this.
    pub fn new(asked: impl Display, said: impl Display) -> Self {
        // One error, one line of the log.
        Self(format!("{asked}: {said}").replace('\n', " "))
    }

    /// It did not answer.
    pub fn no_answer(asked: impl Display, within: Duration) -> Self {
        Self::new(asked, format_args!("no answer within {}", humantime::format_duration(within)))
    }

    /// Something else changed what is being worked on; a second look will tell.
    pub fn changed(asked: impl Display) -> Self {
        Self::new(asked, "it changed meanwhile")
    }
}

/// How long an operation on a whole file may take: as long as a look, and a second per MiB.
pub fn limit(timeout: Duration, size: u64) -> Duration {
    timeout.saturating_add(Duration::from_secs(size >> 20))
}
