//! A Butler repository of a test's own, and its events: as they are, and broken.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Delivery, Message, Producer, Stack, Topic, WriterConfig, butler_sample,
};
use serde_json::{Map, Value, json};

/// The source's name.
pub const SOURCE: &str = "butler";

/// A collection of the sample's repository that is no run.
pub const CHAIN: &str = "LSSTCam/prompt";

/// The sample's repository, and a topic for it.
pub struct Repository {
    database: Database,
    topic: Topic,
    producer: Producer,
    config: WriterConfig,
    events: Vec<Vec<u8>>,
}

impl Repository {
    /// A repository as the sample needs it, its tables registered.
    pub async fn create(stack: &Stack, prefix: &str, partitions: i32) -> Result<Self> {
        let repository = Self::unregistered(stack, prefix, partitions).await?;
        repository.register().await?;
        Ok(repository)
    }

    /// A repository whose tables are no targets yet.
    pub async fn create_unregistered(stack: &Stack, prefix: &str) -> Result<Self> {
        Self::unregistered(stack, prefix, 1).await
    }

    async fn unregistered(stack: &Stack, prefix: &str, partitions: i32) -> Result<Self> {
        let database = Database::create(stack, prefix).await?;
        database.load(&butler_sample::schema()).await?;
        let topic = Topic::create(stack.kafka(), prefix, partitions).await?;
        let config = WriterConfig::new(stack, &database, SOURCE, &topic).butler("public");
        let producer = Producer::new(stack.kafka())?;
        Ok(Self { database, topic, producer, config, events: butler_sample::events()? })
    }

    /// Makes the repository's tables targets.
    pub async fn register(&self) -> Result<()> {
        let sql = "select forebay.butler_add_targets()";
        self.database.primary().batch_execute(sql).await.context("register the tables")
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The number of the topic's partitions.
    pub fn partitions(&self) -> i32 {
        self.topic.partitions()
    }

    /// The configuration of a writer for it.
    pub fn config(&self) -> WriterConfig {
        self.config.clone()
    }

    /// The bootstrap event, and the others, spread over the partitions.
    pub fn events(&self) -> (Message<'_>, Vec<Message<'_>>) {
        let message =
            |(partition, event)| Message { partition, payload: Some(event), ..Message::default() };
        let partitions = (0..self.partitions()).cycle();
        let mut all = partitions.zip(self.events.iter().map(Vec::as_slice)).map(message);
        let bootstrap = all.next().unwrap_or_default();
        (bootstrap, all.collect())
    }

    /// Produces events.
    pub async fn produce(&self, events: &[Message<'_>]) -> Result<Vec<Delivery>> {
        self.producer.send_all(&self.topic, events.iter().copied()).await
    }

    /// Produces events, and waits until they are merged.
    pub async fn send(&self, events: &[Message<'_>]) -> Result<()> {
        let sent = self.produce(events).await?;
        self.wait_until_merged(&sent).await
    }

    /// Waits until events are merged, or stand in the dead letters.
    pub async fn wait_until_merged(&self, events: &[Delivery]) -> Result<()> {
        self.database.wait_until_all_merged(SOURCE, &self.topic, events).await
    }

    /// Waits until the replica has it all.
    pub async fn wait_until_replayed(&self) -> Result<()> {
        self.database.wait_until_replayed().await
    }

    /// Checks that the replica has the whole sample as the official client leaves it, and that
    /// nothing was refused.
    pub async fn check(&self) -> Result<()> {
        let dead = self.database.dead_letters(SOURCE).await?;
        let reasons = dead
            .iter()
            .take(3)
            .map(|letter| format!("{} {:?} {}", letter.sqlstate, letter.target, letter.message));
        let reasons: Vec<_> = reasons.collect();
        ensure!(dead.is_empty(), "{} dead letters, such as {reasons:#?}", dead.len());
        butler_sample::check(&self.database.connect_replica().await?).await
    }
}

/// The parts of a dataset that a test breaks.
pub struct Dataset {
    /// Its UUID.
    pub uuid: String,
    /// Its reference: dataset type, run, data ID.
    pub reference: Value,
    /// Its file's path.
    pub path: Value,
}

impl Dataset {
    /// Its data ID.
    pub fn data_id(&mut self) -> &mut Map<String, Value> {
        self.reference["data_id"].as_object_mut().expect("a data ID")
    }
}

/// An event with its first dataset broken, and with a detector of its own, whose record must not
/// outlive the event.
pub fn broken_event(
    event: &[u8],
    number: u32,
    break_it: impl FnOnce(&mut Dataset),
) -> Result<Vec<u8>> {
    let mut event: Value = serde_json::from_slice(event)?;
    let detector = json!({
        "definition": "detector",
        "record": {"instrument": "LSSTCam", "id": 5000 + number, "full_name": format!("X{number}"),
            "name_in_raft": "X", "raft": "X", "purpose": "SCIENCE"},
    });
    event["dimension_records"].as_array_mut().context("dimension records")?.push(detector);
    let file = &mut event["datasets"][0];
    let refs = file["refs"].as_object().context("references")?;
    let (uuid, reference) = refs.iter().next().context("no reference")?;
    let mut dataset =
        Dataset { uuid: uuid.clone(), reference: reference.clone(), path: file["path"].clone() };
    break_it(&mut dataset);
    file["refs"] = json!({ dataset.uuid: dataset.reference });
    file["path"] = dataset.path;
    Ok(serde_json::to_vec(&event)?)
}
