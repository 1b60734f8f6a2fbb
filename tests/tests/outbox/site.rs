//! A Butler repository with a topic for its events, and one for what is told of them.

use anyhow::{Context, Result};
use forebay_tests::{
    Database, Delivery, Message, Producer, Stack, Topic, Writer, WriterConfig, butler_sample, wait,
};
use serde_json::Value;

use crate::told::{Told, datasets, without_repetitions};

pub const SOURCE: &str = "butler";

/// All of it, and the sample's events.
pub struct Site {
    kafka: String,
    pub database: Database,
    pub topic: Topic,
    pub told: Topic,
    producer: Producer,
    config: WriterConfig,
    pub events: Vec<Vec<u8>>,
}

impl Site {
    /// On the shared stack.
    pub async fn create(stack: &Stack, prefix: &str, partitions: i32) -> Result<Self> {
        let database = Database::create(stack, prefix).await?;
        Self::create_in(stack.kafka(), database, prefix, partitions).await
    }

    /// In this database. The bootstrap event, which all others need, is merged already, and not told
    /// of.
    pub async fn create_in(
        kafka: &str,
        database: Database,
        prefix: &str,
        partitions: i32,
    ) -> Result<Self> {
        database.load(&butler_sample::schema()).await?;
        let register = "select forebay.butler_add_targets()";
        database.primary().batch_execute(register).await.context("register the tables")?;
        let topic = Topic::create(kafka, prefix, partitions).await?;
        let told = Topic::create(kafka, &format!("{prefix}_told"), 2).await?;
        let config = WriterConfig::of(kafka, &database, SOURCE, &topic).butler("public");
        let mut events = butler_sample::events()?;
        let producer = Producer::new(kafka)?;
        let bootstrap = producer.send(&topic, 0, None, Some(&events.remove(0))).await?;
        let mut writer = Writer::start(&Stack::from_env()?, config.clone())?;
        database.wait_until_merged(SOURCE, &topic, bootstrap).await?;
        writer.stop().await?;
        let config = config.set("outbox.topic", told.name());
        Ok(Self { kafka: kafka.to_owned(), database, topic, told, producer, config, events })
    }

    /// The configuration of a writer that tells.
    pub fn config(&self) -> WriterConfig {
        self.config.clone()
    }

    /// Sends payloads to all partitions in turn.
    pub async fn send(&self, payloads: &[Vec<u8>]) -> Result<Vec<Delivery>> {
        let partitions = (0..self.topic.partitions()).cycle();
        let messages = partitions.zip(payloads).map(|(partition, payload)| Message {
            partition,
            payload: Some(payload),
            ..Message::default()
        });
        self.producer.send_all(&self.topic, messages).await
    }

    pub async fn wait_until_merged(&self, events: &[Delivery]) -> Result<()> {
        self.database.wait_until_all_merged(SOURCE, &self.topic, events).await
    }

    /// All that was told up to now, in its order.
    pub async fn heard(&self) -> Result<Vec<Told>> {
        self.told.read(&self.kafka).await?.iter().map(Told::read).collect()
    }

    /// Waits until at least these datasets are told of, and nothing is left to tell.
    pub async fn wait_until_told(&self, expected: &[String]) -> Result<Vec<Told>> {
        wait::until("the outbox to be empty", || async move {
            Ok((self.waiting().await? == 0).then_some(()))
        })
        .await?;
        let told = self.heard().await?;
        let heard = datasets(&without_repetitions(&told));
        anyhow::ensure!(
            heard == expected,
            "told of {} datasets, and not of {}",
            heard.len(),
            expected.len()
        );
        Ok(told)
    }

    /// How many rows wait.
    pub async fn waiting(&self) -> Result<i64> {
        let sql = "select count(*) from forebay.outbox";
        Ok(self.database.primary().query_one(sql, &[]).await?.get(0))
    }
}

/// The datasets that events refer to, sorted.
pub fn datasets_of<'a>(events: impl IntoIterator<Item = &'a Vec<u8>>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for event in events {
        let event: Value = serde_json::from_slice(event)?;
        for file in event["datasets"].as_array().context("datasets")? {
            ids.extend(file["refs"].as_object().context("refs")?.keys().cloned());
        }
    }
    ids.sort_unstable();
    Ok(ids)
}
