//! `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::health::{Component, Health, Status};
use crate::metrics::Metrics;
use crate::stopped_partition::StoppedPartitions;

/// What the endpoints show.
#[derive(Clone)]
pub struct Shown {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health.
    pub health: Arc<Health>,
    /// What is stopped.
    pub stopped: Arc<StoppedPartitions>,
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, shown: Shown) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(shown);
    axum::serve(listener, router).await
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// 200 if every component is ready and no partition is stopped, else 503; a JSON list of components
/// and stopped partitions either way.
async fn readyz(State(shown): State<Shown>) -> Response {
    let mut statuses = shown.health.statuses();
    statuses.extend(shown.stopped.all().into_iter().map(|stop| Status {
        component: Component::Partition,
        ready: false,
        reason: Some(stop.to_string()),
    }));
    let ready = statuses.iter().all(|status| status.ready);
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&statuses) {
        Ok(body) => {
            (code, [(header::CONTENT_TYPE, "application/json")], body + "\n").into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
