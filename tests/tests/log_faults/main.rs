//! What Kafka's log can do: damage, gaps, records that are gone, another log in its place.
//!
//! A partition that can't go on stops loudly, the others go on, and a person decides.

mod damage;
mod gaps;
mod offsets;
mod other_log;
mod repeated_keys;

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Message, Producer, Stack, Topic, Writer, WriterConfig,
    command::{self, Ended},
    metrics::Metrics,
    producer::Delivery,
    stack::unique,
    wait,
};

const SOURCE: &str = "log_faults";

/// A topic into a table with one row for each event, on a broker of its own or the shared one.
struct Stream {
    kafka: String,
    database: Database,
    topic: Topic,
    sent: i32,
}

impl Stream {
    async fn create(
        stack: &Stack,
        kafka: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let database = Database::create(stack, "log").await?;
        let sql = "create table event (id int4 primary key, partition int4 not null, note text); \
                   select forebay.add_target('event')";
        database.primary().batch_execute(sql).await?;
        let topic = Topic::create_with(kafka, &unique("log"), partitions, settings).await?;
        Ok(Self { kafka: kafka.to_owned(), database, topic, sent: 0 })
    }

    fn config(&self) -> WriterConfig {
        WriterConfig::of(&self.kafka, &self.database, SOURCE, &self.topic).flat("public.event")
    }

    /// The next events of a partition.
    fn events(&mut self, partition: i32, count: i32) -> Vec<String> {
        let first = self.sent;
        self.sent += count;
        let event = |id| format!(r#"{{"id": {id}, "partition": {partition}, "note": "n"}}"#);
        (first..first + count).map(event).collect()
    }

    /// Sends events to a partition, as one batch.
    async fn send(&mut self, partition: i32, count: i32) -> Result<Vec<Delivery>> {
        self.send_with(partition, count, &[]).await
    }

    async fn send_with(
        &mut self,
        partition: i32,
        count: i32,
        settings: &[(&str, &str)],
    ) -> Result<Vec<Delivery>> {
        // Long enough that all of them wait for one another.
        let settings = [&[("linger.ms", "300")], settings].concat();
        let producer = Producer::with(&self.kafka, &settings)?;
        let events = self.events(partition, count);
        let messages = events.iter().map(|event| Message {
            partition,
            payload: Some(event.as_bytes()),
            ..Message::default()
        });
        producer.send_all(&self.topic, messages).await
    }

    async fn next_offset(&self, partition: i32) -> Result<Option<i64>> {
        self.database.next_offset(SOURCE, &self.topic, partition).await
    }

    /// Waits until progress is exactly there.
    async fn wait_until_at(&self, writer: &Writer, partition: i32, offset: i64) -> Result<()> {
        let what = format!("progress of partition {partition} at {offset}");
        let reached = wait::until(what, || async move {
            Ok((self.next_offset(partition).await? == Some(offset)).then_some(()))
        });
        let reached = reached.await;
        reached.with_context(|| writer.output().tail())
    }

    /// How many events of a partition are in the table.
    async fn rows(&self, partition: i32) -> Result<i64> {
        let sql = "select count(*) from event where partition = $1";
        Ok(self.database.primary().query_one(sql, &[&partition]).await?.get(0))
    }

    /// Waits until the writer has stopped a partition, and answers what it said.
    async fn wait_until_stopped(&self, writer: &Writer, partition: i32) -> Result<String> {
        let said = format!("stopped {}/{partition}: ", self.topic.name());
        writer.wait_for_line(&said).await
    }

    /// Waits until exactly these partitions are shown as stopped, and checks that the writer runs.
    async fn check_stopped(&self, writer: &mut Writer, partitions: &[i32]) -> Result<()> {
        let shown = &*writer;
        let what = format!("partitions {partitions:?} to be shown as stopped, and no others");
        let right = wait::until(what, || async move {
            let metrics = Metrics::of(shown).await?;
            let is_stopped = |partition: &i32| {
                let number = partition.to_string();
                let labels = [("topic", self.topic.name()), ("partition", number.as_str())];
                metrics.sum("forebay_stopped_partitions", &labels) == Some(1.0)
            };
            let stopped: Vec<i32> = (0..self.topic.partitions()).filter(is_stopped).collect();
            let ready = shown.get("/readyz").await?.status == 200;
            Ok((stopped == partitions && ready == partitions.is_empty()).then_some(()))
        });
        right.await.with_context(|| writer.output().tail())?;
        ensure!(writer.exit_status()?.is_none(), "it ended: {}", writer.output().tail());
        Ok(())
    }

    /// Waits until the writer owns no partition, and so reads none.
    async fn wait_until_nothing_is_owned(&self, writer: &Writer) -> Result<()> {
        let nothing = wait::until("no partition to be owned", || async move {
            let owned = Metrics::of(writer).await?.sum("forebay_owned_partitions", &[]);
            Ok((owned == Some(0.0)).then_some(()))
        });
        nothing.await.with_context(|| writer.output().tail())
    }

    async fn resume(&self, stack: &Stack, partition: i32, arguments: &[&str]) -> Result<Ended> {
        let partition = partition.to_string();
        let place = ["--topic", self.topic.name(), "--partition", &partition];
        command::resume(stack, &self.config(), &[&place, arguments].concat()).await
    }
}

/// Checks an exit code, and that every one of these words was said.
fn expect(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.said());
    for word in words {
        assert!(ended.said().contains(word), "no `{word}` in: {}", ended.said());
    }
}
