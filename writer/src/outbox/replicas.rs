//! Holds batches back until replicas have them, so that who hears of a dataset can read it there.
//!
//! A replica is asked for the rows of the outbox themselves. Positions in the log would mean nothing
//! after a promotion; a row is there or not.

use std::collections::HashSet;

use uuid::Uuid;

use super::table;
use crate::config::{DatabaseConfig, Dsn};
use crate::session::{DatabaseError, Session};

/// The replicas to wait for, each with its connection.
pub struct Replicas(Vec<(Dsn, Option<Session>)>);

/// A replica that can't be asked.
#[derive(Debug, thiserror::Error)]
#[error("replica {replica}: {error}")]
pub struct ReplicaError {
    replica: String,
    error: DatabaseError,
}

impl Replicas {
    /// Not connected yet.
    pub fn new(replicas: &[Dsn]) -> Self {
        Self(replicas.iter().map(|dsn| (dsn.clone(), None)).collect())
    }

    /// How many of these rows, from the first on, all replicas have.
    ///
    /// # Errors
    /// The first replica that does not answer; it is connected anew at the next call.
    pub async fn replayed(
        &mut self,
        ids: &[Uuid],
        config: &DatabaseConfig,
        name: &str,
    ) -> Result<usize, ReplicaError> {
        let mut replayed = ids.len();
        for (dsn, session) in &mut self.0 {
            let asked = ask(dsn, session.take(), &ids[..replayed], config, name).await;
            let (used, seen) =
                asked.map_err(|error| ReplicaError { replica: dsn.to_string(), error })?;
            *session = Some(used);
            replayed = ids[..replayed].iter().take_while(|id| seen.contains(id)).count();
        }
        Ok(replayed)
    }
}

/// Whether a replica can be asked.
///
/// # Errors
/// What it says.
pub async fn look(dsn: &Dsn, config: &DatabaseConfig, name: &str) -> Result<(), DatabaseError> {
    ask(dsn, None, &[], config, name).await.map(drop)
}

async fn ask(
    dsn: &Dsn,
    session: Option<Session>,
    ids: &[Uuid],
    config: &DatabaseConfig,
    name: &str,
) -> Result<(Session, HashSet<Uuid>), DatabaseError> {
    let session = match session {
        Some(session) => session,
        None => Session::connect_replica(dsn, config, name).await?,
    };
    let seen = table::seen(&session, ids).await?;
    Ok((session, seen.into_iter().collect()))
}
