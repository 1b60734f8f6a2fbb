//! Asking a writer's HTTP server.

use anyhow::{Context, Result};
use ureq::Agent;

use crate::wait;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

pub(super) async fn get(port: u16, path: &str) -> Result<Answer> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let ask = move || {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(wait::LIMIT))
            .build()
            .into();
        let mut response = agent.get(&url).call().with_context(|| format!("get {url}"))?;
        let body = response.body_mut().read_to_string()?;
        Ok(Answer { status: response.status().as_u16(), body })
    };
    tokio::task::spawn_blocking(ask).await?
}
