//! Waiting for an event, bounded.

use std::{fmt::Display, future::Future, time::Duration};

use anyhow::{Context, Result, anyhow};
use tokio::time::{sleep, timeout};

/// How long a test waits for anything before it fails.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How long a wait rests between two looks.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks again and again until `look` finds something, for [`LIMIT`] at most.
///
/// # Errors
///
/// `look`'s own error at once, or one that says what was waited for.
pub async fn until<T, F, Fut>(what: impl Display, look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    until_within(LIMIT, what, look).await
}

/// [`until`], with a limit of its own.
///
/// # Errors
///
/// As [`until`].
pub async fn until_within<T, F, Fut>(limit: Duration, what: impl Display, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let looks = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            sleep(INTERVAL).await;
        }
    };
    timeout(limit, looks)
        .await
        .unwrap_or_else(|_| Err(anyhow!("not seen within {} s", limit.as_secs())))
        .with_context(|| format!("wait for {what}"))
}
