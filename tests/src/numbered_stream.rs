//! A stream in which a lost or a doubled event shows.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};

use crate::{Database, Message, Producer, Stack, Topic, WriterConfig, producer::Delivery, wait};

/// The source's name.
pub const SOURCE: &str = "numbered";

/// The target's name.
pub const TABLE: &str = "public.numbered";

/// Numbered events into a target with the policy `append`, where each stands as often as it was
/// merged.
pub struct NumberedStream {
    kafka: String,
    database: Database,
    topic: Topic,
    producer: Producer,
    /// By partition: how many were sent.
    sent: Vec<i64>,
}

impl NumberedStream {
    /// A topic and a database of its own on the shared stack.
    ///
    /// # Errors
    ///
    /// If they can't be made.
    pub async fn create(stack: &Stack, prefix: &str, partitions: i32) -> Result<Self> {
        let database = Database::create(stack, prefix).await?;
        Self::create_in(stack.kafka(), database, prefix, partitions).await
    }

    /// A topic of its own on this broker, into this database.
    ///
    /// # Errors
    ///
    /// If the topic or the target can't be made.
    pub async fn create_in(
        kafka: &str,
        database: Database,
        prefix: &str,
        partitions: i32,
    ) -> Result<Self> {
        let sql = format!(
            "create table {TABLE} (partition int4 not null, number int8 not null, \
                 txid int8 not null default pg_current_xact_id()::text::int8); \
             select forebay.add_target('{TABLE}', on_conflict => 'append')"
        );
        database.primary().batch_execute(&sql).await.context("make the target")?;
        let topic = Topic::create(kafka, prefix, partitions).await?;
        let sent = vec![0; usize::try_from(partitions)?];
        Ok(Self { kafka: kafka.to_owned(), database, topic, producer: Producer::new(kafka)?, sent })
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The database, to connect it again.
    pub fn database_mut(&mut self) -> &mut Database {
        &mut self.database
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The configuration of a writer for it.
    #[must_use]
    pub fn config(&self) -> WriterConfig {
        WriterConfig::of(&self.kafka, &self.database, SOURCE, &self.topic).flat(TABLE)
    }

    /// Sends so many events, to all partitions in turn.
    ///
    /// # Errors
    ///
    /// If one is not delivered in time.
    pub async fn send(&mut self, count: usize) -> Result<Vec<Delivery>> {
        let partitions = self.sent.len();
        let mut events = Vec::with_capacity(count);
        for index in 0..count {
            let partition = index % partitions;
            let number = self.sent[partition];
            self.sent[partition] += 1;
            let text = format!(r#"{{"partition": {partition}, "number": {number}}}"#);
            events.push((i32::try_from(partition)?, text));
        }
        let messages = events.iter().map(|(partition, text)| Message {
            partition: *partition,
            payload: Some(text.as_bytes()),
            ..Message::default()
        });
        self.producer.send_all(&self.topic, messages).await
    }

    /// Raises the number of partitions; they get events from now on.
    ///
    /// # Errors
    ///
    /// If the broker refuses it.
    pub async fn grow(&mut self, partitions: i32) -> Result<()> {
        self.topic.grow(&self.kafka, partitions).await?;
        self.sent.resize(usize::try_from(partitions)?, 0);
        // A client that has known the topic for a while takes its time to see that it has grown.
        self.producer = Producer::new(&self.kafka)?;
        Ok(())
    }

    /// How many events were sent so far.
    #[must_use]
    pub fn sent(&self) -> i64 {
        self.sent.iter().sum()
    }

    /// How many events progress says are merged.
    ///
    /// # Errors
    ///
    /// If the server can't say.
    pub async fn merged(&self) -> Result<i64> {
        let sql = "select coalesce(sum(next_offset), 0)::int8 from forebay.progress \
                   where source = $1 and topic = $2";
        let row = self.database.primary().query_one(sql, &[&SOURCE, &self.topic.name()]).await?;
        Ok(row.get(0))
    }

    /// Waits until progress says that so many events are merged.
    ///
    /// # Errors
    ///
    /// If that does not happen in time.
    pub async fn wait_until_merged(&self, count: i64) -> Result<()> {
        wait::until(format!("{count} of {} events to be merged", self.sent()), || async move {
            Ok((self.merged().await? >= count).then_some(()))
        })
        .await
    }

    /// Waits until all events are merged.
    ///
    /// # Errors
    ///
    /// If that does not happen in time.
    pub async fn wait_until_all_merged(&self) -> Result<()> {
        self.wait_until_merged(self.sent()).await
    }

    /// Checks that what progress says is what the table holds: every event below it once, and no
    /// other; and that nothing is a dead letter.
    ///
    /// # Errors
    ///
    /// If it is not so: with what is lost, doubled or foreign.
    pub async fn check_consistent(&self) -> Result<()> {
        let sql = format!(
            "with expected as (
                 select p.partition, n.number from forebay.progress p, \
                      generate_series(0, p.next_offset - 1) n(number)
                 where p.source = $1 and p.topic = $2),
             lost as (select * from expected except all select partition, number from {TABLE}),
             extra as (select partition, number from {TABLE} except all select * from expected)
             select (select count(*) from lost), (select count(*) from extra),
                 (select coalesce(string_agg(x::text, ' '), '') from (select * from lost limit 10) x),
                 (select coalesce(string_agg(x::text, ' '), '') from (select * from extra limit 10) x),
                 (select count(*) from forebay.dead_letter)"
        );
        let row = self.database.primary().query_one(&sql, &[&SOURCE, &self.topic.name()]).await?;
        let (lost, extra, dead): (i64, i64, i64) = (row.get(0), row.get(1), row.get(4));
        let (lost_ones, extra_ones): (&str, &str) = (row.get(2), row.get(3));
        ensure!(
            (lost, extra, dead) == (0, 0, 0),
            "{lost} lost: {lost_ones}; {extra} doubled or foreign: {extra_ones}; {dead} dead letters"
        );
        Ok(())
    }

    /// Checks that all events that were sent are in the table, each once, that progress is the
    /// end of each partition, and that nothing is a dead letter.
    ///
    /// # Errors
    ///
    /// If it is not so.
    pub async fn check_complete(&self) -> Result<()> {
        let ends = self.end_offsets().await?;
        ensure!(ends == self.sent, "the broker ends at {ends:?}, sent are {:?}", self.sent);
        for (partition, end) in (0..).zip(&ends) {
            let next = self.database.next_offset(SOURCE, &self.topic, partition).await?;
            ensure!(next == Some(*end), "partition {partition}: progress {next:?}, end {end}");
        }
        self.check_consistent().await?;
        let sql = format!("select count(*) from {TABLE}");
        let rows: i64 = self.database.primary().query_one(&sql, &[]).await?.get(0);
        ensure!(rows == self.sent(), "{rows} rows of {} events", self.sent());
        Ok(())
    }

    /// The end of each partition, as the broker says.
    async fn end_offsets(&self) -> Result<Vec<i64>> {
        let (kafka, topic) = (self.kafka.clone(), self.topic.clone());
        let ask = move || {
            let client: BaseConsumer =
                ClientConfig::new().set("bootstrap.servers", kafka).create()?;
            let ends = (0..topic.partitions()).map(|partition| {
                let limit = Duration::from_secs(30);
                Ok(client.fetch_watermarks(topic.name(), partition, limit)?.1)
            });
            ends.collect()
        };
        tokio::task::spawn_blocking(ask).await?
    }
}
