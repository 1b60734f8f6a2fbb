//! `forebay run`: the runtime, the signals, the HTTP server and the pipeline.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use crate::config::Config;
use crate::dead_letter_expiry;
use crate::failure::LoudStop;
use crate::files::{Files, remover};
use crate::health::Health;
use crate::http::{Shown, serve};
use crate::metrics::Metrics;
use crate::outbox::publisher;
use crate::process;
use crate::stopped_partition::StoppedPartitions;
use crate::worker::Surroundings;

/// Runs the writer until a signal or a loud stop.
///
/// # Errors
/// A loud stop, or a resource that the system refuses at the start.
pub async fn run(config: Config) -> Result<(), LoudStop> {
    let refused = |what: &str, error: &dyn std::fmt::Display| LoudStop(format!("{what}: {error}"));
    let shutdown = watch_signals().map_err(|error| refused("listen for signals", &error))?;
    let metrics = Metrics::new().map_err(|error| refused("register metrics", &error))?;
    let (metrics, health) = (Arc::new(metrics), Arc::new(Health::default()));
    let stopped = Arc::new(StoppedPartitions::new(metrics.stopped_partitions.clone()));
    let files = config.files.as_ref().map(|files| Files::new(files, metrics.clone())).transpose();
    let files = files.map_err(|error| LoudStop(error.to_string()))?.map(Arc::new);
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        refused(&format!("listen on {listen} (choose another http.listen)"), &error)
    })?;
    let address = listener.local_addr().unwrap_or(listen);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        source = config.source.name,
        topics = config.source.topics.join(","),
        %address,
        "forebay writer starts; /metrics, /healthz and /readyz are served"
    );
    let shown =
        Shown { metrics: metrics.clone(), health: health.clone(), stopped: stopped.clone() };
    tokio::spawn(async move {
        if let Err(cause) = serve(listener, shown).await {
            error!("serve metrics and health: {cause}");
        }
    });
    let config = Arc::new(config);
    if let Some(retention) = config.dead_letters.retention {
        tokio::spawn(dead_letter_expiry::run(retention, config.clone(), metrics.clone()));
    }
    let drain_timeout = config.shutdown.drain_timeout;
    let surroundings = Surroundings::new(config, metrics, health, stopped, files, shutdown);
    let publisher = publisher::start(surroundings.clone());
    let remover = remover::start(surroundings.clone());
    process::run(surroundings).await?;
    if let Some(publisher) = publisher {
        publisher.finish(drain_timeout).await;
    }
    if let Some(remover) = remover {
        remover.finish(drain_timeout).await;
    }
    info!("forebay writer ends");
    Ok(())
}

/// Turns true at the first SIGTERM or SIGINT.
fn watch_signals() -> std::io::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, shutdown) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("told to end: merging what is read already");
        stop.send_replace(true);
        stop.closed().await;
    });
    Ok(shutdown)
}
