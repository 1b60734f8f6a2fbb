//! All of a process: its workers, and the steward that tells them what to own.

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use crate::backoff::shown;
use crate::failure::LoudStop;
use crate::ownership::steward::Steward;
use crate::ownership::topic_watch;
use crate::pipeline::Pipeline;
use crate::worker::Surroundings;

/// Runs until a shutdown (then what is read is merged first) or a loud stop.
///
/// # Errors
/// A person has to look; the message says at what.
pub async fn run(surroundings: Surroundings) -> Result<(), LoudStop> {
    let mut shutdown = surroundings.shutdown.clone();
    let drain_timeout = surroundings.config.shutdown.drain_timeout;
    let overdue = async {
        // An error means that nobody is left to ask for a shutdown.
        let _ = shutdown.wait_for(|stop| *stop).await;
        tokio::time::sleep(drain_timeout).await;
    };
    tokio::select! {
        ended = run_all(surroundings) => ended,
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

async fn run_all(surroundings: Surroundings) -> Result<(), LoudStop> {
    let topics = topic_watch::start(surroundings.clone());
    let mut workers = JoinSet::new();
    let mut told = Vec::new();
    for number in 0..surroundings.config.workers.count {
        let (tell, wanted) = watch::channel(None);
        told.push(tell);
        workers.spawn(Pipeline::new(surroundings.clone(), number, wanted).run());
    }
    let steward = Steward::new(surroundings, topics, told);
    tokio::select! {
        biased;
        ended = all(&mut workers) => ended,
        ended = steward.run() => ended,
    }
}

/// Waits until all workers have ended, or one stops loudly.
async fn all(workers: &mut JoinSet<Result<(), LoudStop>>) -> Result<(), LoudStop> {
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|error| LoudStop(format!("a worker ended early: {error}")))??;
    }
    Ok(())
}
