//! A test's own database.

use std::path::Path;

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::{Endpoint, Stack, postgres, process, progress, stack::unique, wait};

/// A fresh database with the extension, and a login role for a writer. It stays until the stack
/// goes.
pub struct Database {
    name: String,
    writer_role: String,
    primary: Endpoint,
    replica: Option<Endpoint>,
    client: Client,
}

impl Database {
    /// A database on the shared stack, with `create extension forebay`.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub async fn create(stack: &Stack, prefix: &str) -> Result<Self> {
        Self::create_on(stack.primary(), Some(stack.replica()), prefix).await
    }

    /// A database on a private primary, with `create extension forebay`.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub async fn create_on(
        primary: &Endpoint,
        replica: Option<&Endpoint>,
        prefix: &str,
    ) -> Result<Self> {
        let mut database = Self::create_empty(primary, replica, prefix).await?;
        database.create_extension().await?;
        Ok(database)
    }

    /// A database without the extension. Its writer's role is made all the same, but is member
    /// of nothing until [`create_extension`](Self::create_extension).
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub async fn create_empty(
        primary: &Endpoint,
        replica: Option<&Endpoint>,
        prefix: &str,
    ) -> Result<Self> {
        Self::create_named(primary, replica, &unique(prefix)).await
    }

    /// A database with exactly this name, without the extension.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub async fn create_named(
        primary: &Endpoint,
        replica: Option<&Endpoint>,
        name: &str,
    ) -> Result<Self> {
        Self::create_of(primary, replica, name.to_owned(), "template1").await
    }

    /// A copy with exactly this name of a database of a private primary to which nobody is
    /// connected, as it is.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub async fn copy_on(primary: &Endpoint, name: &str, template: &str) -> Result<Self> {
        Self::create_of(primary, None, name.to_owned(), template).await
    }

    /// A copy of a database of the shared stack to which nobody is connected, with
    /// `create extension forebay`.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub async fn create_copy(stack: &Stack, template: &str) -> Result<Self> {
        let (primary, replica) = (stack.primary(), Some(stack.replica()));
        let mut database = Self::create_of(primary, replica, unique(template), template).await?;
        database.create_extension().await?;
        Ok(database)
    }

    async fn create_of(
        primary: &Endpoint,
        replica: Option<&Endpoint>,
        name: String,
        template: &str,
    ) -> Result<Self> {
        let client = primary.connect("postgres").await?;
        let writer_role = if primary.is_named() {
            primary.user().to_owned()
        } else {
            let role = format!("{name}_writer");
            client.batch_execute(&format!("create role {role} login")).await?;
            role
        };
        client.batch_execute(&format!("create database {name} template {template}")).await?;
        let client = primary.connect(&name).await?;
        Ok(Self { name, writer_role, primary: primary.clone(), replica: replica.cloned(), client })
    }

    /// Makes the extension, and the writer's role a member of `forebay_writer`.
    ///
    /// # Errors
    ///
    /// If the server has no extension to make.
    pub async fn create_extension(&mut self) -> Result<()> {
        self.client.batch_execute("create extension forebay").await.context("create extension")?;
        if self.primary.is_named() {
            return Ok(());
        }
        let grant = format!("grant forebay_writer to {}", self.writer_role);
        self.client.batch_execute(&grant).await.context("grant forebay_writer")
    }

    /// Runs a file of SQL with psql, up to its first error.
    ///
    /// # Errors
    ///
    /// If it has one.
    pub async fn load(&self, file: &Path) -> Result<()> {
        let mut psql = postgres::client_command("psql")?;
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname"]);
        psql.arg(self.primary.superuser_dsn(&self.name)).arg("--file").arg(file);
        tokio::task::spawn_blocking(|| process::run("psql", psql)).await?.map(drop)
    }

    /// Makes a login role that is a member of this one alone, and answers the connection string
    /// with which it gets into this database.
    ///
    /// # Errors
    ///
    /// If there is no such role, or no right to make one.
    pub async fn create_member(&self, of: &str) -> Result<String> {
        let role = unique(&format!("{}_member", self.name));
        self.client.batch_execute(&format!("create role {role} login in role {of}")).await?;
        Ok(self.primary.dsn(&self.name, &role))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The login role of its writer, a member of `forebay_writer` and of nothing else. On a server
    /// that a person named, it is the one that he named.
    #[must_use]
    pub fn writer_role(&self) -> &str {
        &self.writer_role
    }

    /// A superuser's connection to the primary, for the test's own statements.
    #[must_use]
    pub fn primary(&self) -> &Client {
        &self.client
    }

    /// Where the primary is.
    #[must_use]
    pub fn primary_endpoint(&self) -> &Endpoint {
        &self.primary
    }

    /// Where the replica is, if it has one.
    #[must_use]
    pub fn replica_endpoint(&self) -> Option<&Endpoint> {
        self.replica.as_ref()
    }

    /// Another superuser's connection to the primary.
    ///
    /// # Errors
    ///
    /// If the server refuses it.
    pub async fn connect_primary(&self) -> Result<Client> {
        self.primary.connect(&self.name).await
    }

    /// A connection to the primary as a given role.
    ///
    /// # Errors
    ///
    /// If the server refuses it.
    pub async fn connect_primary_as(&self, role: &str) -> Result<Client> {
        self.primary.connect_as(&self.name, role).await
    }

    /// A superuser's connection to the replica, where the database is already visible.
    ///
    /// # Errors
    ///
    /// If there is no replica, or it refuses the connection.
    pub async fn connect_replica(&self) -> Result<Client> {
        self.wait_until_replayed().await?;
        self.replica()?.connect(&self.name).await
    }

    /// A connection to the replica as a given role, which it already knows.
    ///
    /// # Errors
    ///
    /// If there is no replica, or it refuses the connection.
    pub async fn connect_replica_as(&self, role: &str) -> Result<Client> {
        self.wait_until_replayed().await?;
        self.replica()?.connect_as(&self.name, role).await
    }

    /// Connects again, after the primary crashed or another took its place: waits until it
    /// accepts connections.
    ///
    /// # Errors
    ///
    /// If it does not in time.
    pub async fn reconnect(&mut self, primary: &Endpoint) -> Result<()> {
        let name = &self.name;
        self.client = wait::until(format!("{name} to accept connections"), || async move {
            Ok(primary.connect(name).await.ok())
        })
        .await?;
        self.primary = primary.clone();
        Ok(())
    }

    /// Waits until the replica has replayed all that the primary has written up to now.
    ///
    /// # Errors
    ///
    /// If there is no replica, or it does not get there in time.
    pub async fn wait_until_replayed(&self) -> Result<()> {
        let row = self.client.query_one("select pg_current_wal_lsn()", &[]).await?;
        progress::wait_until_replayed(self.replica()?, row.get(0)).await
    }

    fn replica(&self) -> Result<&Endpoint> {
        self.replica.as_ref().context("this database has no replica")
    }
}
