//! A test's own topic.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    topic_partition_list::{Offset, TopicPartitionList},
};

use crate::{stack::unique, wait};

/// How long the broker is given for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// As many replicas as the broker's own default says.
const REPLICATION: TopicReplication<'static> = TopicReplication::Fixed(-1);

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
        let mut topic = NewTopic::new(name, partitions, REPLICATION);
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let answer = admin(kafka)?.create_topics([&topic], &options()).await?;
        for topic in answer {
            topic.map_err(|(name, code)| anyhow!("create topic {name}: {code}"))?;
        }
        let topic = Self { name: name.to_owned(), partitions };
        topic.wait_until_led(kafka).await?;
        Ok(topic)
    }

    /// A topic that is there, and has so many partitions.
    #[must_use]
    pub fn existing(name: &str, partitions: i32) -> Self {
        Self { name: name.to_owned(), partitions }
    }

    /// A new partition takes requests only when its leader knows that it is that.
    async fn wait_until_led(&self, kafka: &str) -> Result<()> {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", kafka).create()?;
        let client = Arc::new(client);
        for partition in 0..self.partitions {
            wait::until(format!("a leader of {} {partition}", self.name), || {
                let (client, name) = (Arc::clone(&client), self.name.clone());
                async move {
                    let ask = move || client.fetch_watermarks(&name, partition, ANSWER).is_ok();
                    Ok(tokio::task::spawn_blocking(ask).await?.then_some(()))
                }
            })
            .await?;
        }
        Ok(())
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
        self.wait_until_led(kafka).await
    }

    /// Removes the records of a partition before an offset, as retention does.
    ///
    /// # Errors
    ///
    /// If the broker refuses it.
    pub async fn delete_records(&self, kafka: &str, partition: i32, before: i64) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&self.name, partition, Offset::Offset(before))?;
        let answer = admin(kafka)?.delete_records(&offsets, &options()).await?;
        for deleted in answer.elements() {
            deleted.error()?;
        }
        Ok(())
    }

    /// The first offset of a partition, and its read-committed end.
    ///
    /// # Errors
    ///
    /// If the broker does not say.
    pub async fn watermarks(&self, kafka: &str, partition: i32) -> Result<(i64, i64)> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("isolation.level", "read_committed")
            .create()?;
        let name = self.name.clone();
        let ask = move || client.fetch_watermarks(&name, partition, ANSWER);
        Ok(tokio::task::spawn_blocking(ask).await??)
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

/// The names of all topics that the broker knows.
///
/// # Errors
///
/// If it does not say.
pub async fn names(kafka: &str) -> Result<BTreeSet<String>> {
    let admin = admin(kafka)?;
    let ask = move || {
        admin
            .inner()
            .fetch_metadata(None, ANSWER)
            .map(|metadata| metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    };
    tokio::task::spawn_blocking(ask).await?.with_context(|| format!("ask {kafka} for its topics"))
}

/// The names of all consumer groups that the broker knows.
///
/// # Errors
///
/// If it does not say.
pub async fn groups(kafka: &str) -> Result<BTreeSet<String>> {
    let admin = admin(kafka)?;
    let ask = move || {
        admin
            .inner()
            .fetch_group_list(None, ANSWER)
            .map(|list| list.groups().iter().map(|group| group.name().to_owned()).collect())
    };
    tokio::task::spawn_blocking(ask).await?.with_context(|| format!("ask {kafka} for its groups"))
}

/// Deletes a consumer group, if there is such: as soon as it has no member any more.
///
/// # Errors
///
/// If the broker refuses it.
pub async fn delete_group(kafka: &str, name: &str) -> Result<()> {
    let admin = &admin(kafka)?;
    wait::until(format!("group {name} to go"), || async move {
        for group in admin.delete_groups(&[name], &options()).await? {
            match group {
                Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => return Ok(Some(())),
                Err((_, RDKafkaErrorCode::NonEmptyGroup)) => {}
                Err((_, code)) => bail!("delete group {name}: {code}"),
            }
        }
        Ok(None)
    })
    .await
}

fn admin(kafka: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", kafka).create()?)
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(wait::LIMIT)).request_timeout(Some(wait::LIMIT))
}
