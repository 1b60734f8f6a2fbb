//! A test's own topic.

use anyhow::{Context, Result, anyhow};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use crate::{stack::unique, wait};

/// A topic. It stays until the stack goes, or it is [deleted](Self::delete).
#[derive(Clone, Debug)]
pub struct Topic {
    name: String,
    partitions: i32,
}

impl Topic {
    /// Makes a topic with a name of its own, that starts with `prefix`.
    ///
    /// # Errors
    ///
    /// If the broker refuses it.
    pub async fn create(kafka: &str, prefix: &str, partitions: i32) -> Result<Self> {
        Self::create_with(kafka, &unique(prefix), partitions, &[]).await
    }

    /// Makes a topic with exactly this name, and settings such as `cleanup.policy`.
    ///
    /// # Errors
    ///
    /// If the broker refuses it.
    pub async fn create_with(
        kafka: &str,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let answer = admin(kafka)?.create_topics([&topic], &options()).await?;
        for topic in answer {
            topic.map_err(|(name, code)| anyhow!("create topic {name}: {code}"))?;
        }
        Ok(Self { name: name.to_owned(), partitions })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of its partitions.
    #[must_use]
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Raises the number of its partitions.
    ///
    /// # Errors
    ///
    /// If the broker refuses it.
    pub async fn grow(&mut self, kafka: &str, partitions: i32) -> Result<()> {
        let count = usize::try_from(partitions).context("number of partitions")?;
        let growth = NewPartitions::new(&self.name, count);
        for topic in admin(kafka)?.create_partitions([&growth], &options()).await? {
            topic.map_err(|(name, code)| anyhow!("grow topic {name}: {code}"))?;
        }
        self.partitions = partitions;
        Ok(())
    }

    /// Deletes it, and waits until the broker no longer knows it.
    ///
    /// # Errors
    ///
    /// If the broker refuses it.
    pub async fn delete(&self, kafka: &str) -> Result<()> {
        let admin = &admin(kafka)?;
        for topic in admin.delete_topics(&[&self.name], &options()).await? {
            topic.map_err(|(name, code)| anyhow!("delete topic {name}: {code}"))?;
        }
        wait::until(format!("topic {} to go", self.name), || async move {
            let metadata = admin.inner().fetch_metadata(None, wait::LIMIT)?;
            let known = metadata.topics().iter().any(|topic| topic.name() == self.name);
            Ok((!known).then_some(()))
        })
        .await
    }
}

fn admin(kafka: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", kafka).create()?)
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(wait::LIMIT)).request_timeout(Some(wait::LIMIT))
}
