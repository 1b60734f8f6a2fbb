//! A thread that produces events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};
use tokio::time::sleep;

/// How often it is looked whether the thread is done.
const LOOK: Duration = Duration::from_millis(10);

/// A thread that produces. It has ended when this value goes: a topic can then be deleted, and
/// does not come back.
pub struct Producing {
    stop: Stop,
    thread: Option<JoinHandle<Result<()>>>,
}

/// Whether to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Fails if it is to stop.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.0.load(Ordering::Relaxed), "stopped");
        Ok(())
    }
}

impl Producing {
    /// Starts it. The work looks often whether to stop.
    pub fn start(work: impl FnOnce(&Stop) -> Result<()> + Send + 'static) -> Self {
        let stop = Stop::default();
        let own = stop.clone();
        Self { stop, thread: Some(thread::spawn(move || work(&own))) }
    }

    /// Waits until the work is done.
    pub async fn finish(mut self) -> Result<()> {
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            sleep(LOOK).await;
        }
        let joined = self.thread.take().map(JoinHandle::join);
        joined.unwrap_or(Ok(Ok(()))).map_err(|_| anyhow!("the producer has panicked"))?
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Relaxed);
        // Nobody is left to tell of its error.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
