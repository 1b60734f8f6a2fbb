//! Starts the shared stack, and ends it.

use std::path::Path;

use anyhow::Result;

use crate::{
    Broker, Postgres, Stack,
    endpoint::Endpoint,
    lifeline,
    postgres::THROW_AWAY,
    scratch::Scratch,
    stack::{self, LIFELINE},
};

/// How much the stack's clusters care for a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production: fsync and full page writes.
    Durable,
    /// Not at all: for tests.
    ThrowAway,
}

/// A running stack: a primary, its replica and a broker, in a scratch directory. All of it goes
/// with this value.
///
/// The servers die with the thread that starts them: start it from one that lives as long as the
/// stack is needed.
#[derive(Debug)]
pub struct Supervisor {
    stack: Stack,
    /// The primary.
    pub primary: Postgres,
    /// The replica.
    pub replica: Postgres,
    /// The broker.
    pub broker: Broker,
    /// Last: it is removed when nobody writes to it any more.
    _scratch: Scratch,
}

impl Supervisor {
    /// Starts everything and waits until all of it answers.
    ///
    /// # Errors
    ///
    /// If anything does not come up.
    pub async fn start(durability: Durability) -> Result<Self> {
        let scratch = Scratch::make()?;
        let settings = match durability {
            Durability::Durable => &[],
            Durability::ThrowAway => THROW_AWAY,
        };
        let directory = scratch.path();
        lifeline::hold(&directory.join(LIFELINE))?;
        let ((primary, replica), broker) = tokio::try_join!(
            clusters(directory, settings),
            Broker::create(directory, stack::KAFKA_DIRECTORY, &[])
        )?;
        let stack = Stack {
            primary: primary.endpoint().clone(),
            replica: replica.endpoint().clone(),
            kafka: broker.bootstrap_servers(),
            scratch: directory.to_owned(),
        };
        Ok(Self { stack, primary, replica, broker, _scratch: scratch })
    }

    /// What a test needs to know of it.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }
}

async fn clusters(directory: &Path, settings: &[(&str, &str)]) -> Result<(Postgres, Postgres)> {
    let primary = Postgres::primary(directory, "primary", settings).await?;
    make_roles(primary.endpoint()).await?;
    let replica = Postgres::replica(directory, "replica", primary.endpoint(), settings).await?;
    Ok((primary, replica))
}

/// The extension's roles belong to the cluster: they are made once here, and not by several tests
/// at the same time. Without the extension, only tests of the harness itself can run.
async fn make_roles(primary: &Endpoint) -> Result<()> {
    let client = primary.connect("postgres").await?;
    let known = "select exists (select from pg_available_extensions where name = 'forebay')";
    if client.query_one(known, &[]).await?.get(0) {
        client.batch_execute("create extension forebay; drop extension forebay cascade").await?;
    }
    Ok(())
}
