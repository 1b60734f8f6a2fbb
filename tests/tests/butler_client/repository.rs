//! A copy of a repository that the client has made, for a writer.

use anyhow::{Context, Result};
use forebay_tests::{Database, Delivery, Message, Producer, Stack, Topic, WriterConfig};

/// The source's name.
pub const SOURCE: &str = "client";

/// A repository, its tables registered, and a topic for it.
pub struct Repository {
    database: Database,
    topic: Topic,
    producer: Producer,
    config: WriterConfig,
}

impl Repository {
    /// A copy of the repository in a database to which nobody is connected.
    pub async fn copy(stack: &Stack, template: &str) -> Result<Self> {
        let database = Database::create_copy(stack, template).await?;
        let register = "select forebay.butler_add_targets()";
        database.primary().batch_execute(register).await.context("register the tables")?;
        let topic = Topic::create(stack.kafka(), "client", 1).await?;
        let config = WriterConfig::new(stack, &database, SOURCE, &topic).butler("public");
        let producer = Producer::new(stack.kafka())?;
        Ok(Self { database, topic, producer, config })
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The topic.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The configuration of a writer for it.
    pub fn config(&self) -> WriterConfig {
        self.config.clone()
    }

    /// Produces events.
    pub async fn produce(&self, events: &[String]) -> Result<Vec<Delivery>> {
        let payloads = events.iter().map(|event| Some(event.as_bytes()));
        let messages = payloads.map(|payload| Message { payload, ..Message::default() });
        self.producer.send_all(&self.topic, messages.collect::<Vec<_>>()).await
    }
}
