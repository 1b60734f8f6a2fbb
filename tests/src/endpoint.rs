//! Where a PostgreSQL server is.

use anyhow::{Context, Result};
use tokio_postgres::{Client, Config, NoTls};

/// A server's address. Every server of the harness trusts every login from 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Always on 127.0.0.1.
    pub port: u16,
}

/// The superuser of every cluster of the harness.
pub const SUPERUSER: &str = "postgres";

impl Endpoint {
    /// The host of every server of the harness.
    pub const HOST: &'static str = "127.0.0.1";

    /// The connection string of a database and a login role, as libpq reads it.
    #[must_use]
    pub fn dsn(&self, database: &str, user: &str) -> String {
        format!("host={} port={} dbname={database} user={user}", Self::HOST, self.port)
    }

    /// A connection as superuser.
    ///
    /// # Errors
    ///
    /// If the server refuses it.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        self.connect_as(database, SUPERUSER).await
    }

    /// A connection as a given role.
    ///
    /// # Errors
    ///
    /// If the server refuses it.
    pub async fn connect_as(&self, database: &str, user: &str) -> Result<Client> {
        let (client, connection) = Config::new()
            .host(Self::HOST)
            .port(self.port)
            .dbname(database)
            .user(user)
            .application_name("forebay-tests")
            .connect(NoTls)
            .await
            .with_context(|| format!("connect to {database} on port {} as {user}", self.port))?;
        // It ends with its client; its error reaches the client's next call.
        tokio::spawn(connection);
        Ok(client)
    }
}
