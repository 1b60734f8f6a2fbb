//! A connection to the database, with what has to be known before anything is claimed.

use std::sync::Arc;

use tracing::{info, warn};

use super::Surroundings;
use crate::catalog::Catalog;
use crate::claim::look;
use crate::decode::Format;
use crate::extension;
use crate::failure::Failure;
use crate::hand_over::Decoder;
use crate::health::Component;
use crate::session::Session;

/// A session, and the targets as it has found them.
pub struct Database {
    /// The session.
    pub session: Session,
    /// What records become rows by.
    pub decoder: Decoder,
}

/// Connects, looks at the server and the extension, and learns the targets. `name` is what the
/// server shows as the session's.
///
/// # Errors
/// The first thing that is missing.
pub async fn open_database(surroundings: &Surroundings, name: &str) -> Result<Database, Failure> {
    let Surroundings { config, health, .. } = surroundings;
    let session = Session::connect(&config.database, name).await?;
    if let Some(unusable) = extension::look(&session).await? {
        return Err(unusable.into());
    }
    let server = look(&session, &config.source.name).await?.server;
    if surroundings.observe(server)? {
        warn!("a failover: the database is at {server} now");
    }
    let catalog = Catalog::load(session.client(), &config.format).await?;
    let format = Format::new(&config.format, &catalog)?;
    if health.up(Component::Database) {
        info!(database = %config.database.dsn, "connected to the database");
    }
    let decoder = Decoder { catalog: Arc::new(catalog), format: Arc::new(format) };
    Ok(Database { session, decoder })
}
