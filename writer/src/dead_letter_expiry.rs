//! Deletes dead letters that were kept for the configured time, batch by batch, on a connection of
//! its own that lasts no longer than that takes.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::ToSql;
use tracing::{info, warn};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const EXPIRE: &str = "select forebay.expire_dead_letters($1::text, \
                          pg_catalog.make_interval(secs => $2::float8), $3::int4)";

/// How many are deleted in one transaction.
const BATCH: i32 = 1000;

/// Deletes them from time to time, for as long as the process lives. Several writers of a source
/// do not disturb one another.
pub async fn run(retention: Duration, config: Arc<Config>, metrics: Arc<Metrics>) {
    let mut timer = tokio::time::interval(pause(retention));
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if let Err(error) = expire(retention, &config, &metrics).await {
            warn!("{error}; trying again in {}", humantime::format_duration(timer.period()));
        }
    }
}

/// A tenth of the time that they are kept, within bounds.
fn pause(retention: Duration) -> Duration {
    (retention / 10).clamp(Duration::from_secs(1), Duration::from_secs(3600))
}

async fn expire(
    retention: Duration,
    config: &Config,
    metrics: &Metrics,
) -> Result<(), DatabaseError> {
    let source = config.source.name.as_str();
    let session = Session::connect(&config.database, source).await?;
    let seconds = retention.as_secs_f64();
    let parameters: [&(dyn ToSql + Sync); 3] = [&source, &seconds, &BATCH];
    let mut total = 0u64;
    loop {
        let asked = session.client().query_one(EXPIRE, &parameters);
        let row = session.within(Place::Expire, asked).await?;
        let expired: i64 = row
            .try_get(0)
            .map_err(|error| DatabaseError::answer(Place::Expire, error.to_string()))?;
        let expired = expired.unsigned_abs();
        metrics.dead_letters_expired.inc_by(expired);
        total += expired;
        if expired < BATCH.unsigned_abs().into() {
            break;
        }
    }
    if total > 0 {
        let retention = humantime::format_duration(retention);
        info!(source, "deleted {total} dead letters that were kept for {retention}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;

    #[test]
    fn looks_neither_all_the_time_nor_hardly_ever() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(seconds(1)), seconds(1));
        assert_eq!(pause(seconds(600)), seconds(60));
        assert_eq!(pause(seconds(90 * 86_400)), seconds(3600));
    }
}
