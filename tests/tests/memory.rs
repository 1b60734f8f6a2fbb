//! Memory is bounded, however long the backlog is and however far its batches unpack.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Message, Producer, Segment, Stack, Topic, Writer, WriterConfig, memory, wait,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

const SOURCE: &str = "memory";

/// More than any writer of ours ever has at a time.
const PARTITIONS: i32 = 64;

/// A backlog of compressed batches.
struct Backlog {
    database: Database,
    topic: Topic,
    events: i64,
    /// What it unpacks to, in bytes.
    unpacked: u64,
    /// Unpacked to packed.
    ratio: f64,
}

impl Backlog {
    /// So many events in each partition, each with a text of `same` equal and `random` random
    /// characters.
    async fn create(
        stack: &Stack,
        (partitions, events): (i32, i32),
        same: usize,
        random: usize,
    ) -> Result<Self> {
        let database = Database::create(stack, "memory").await?;
        let sql = "create table event (id int4 primary key, note text); \
                   select forebay.add_target('event')";
        database.primary().batch_execute(sql).await?;
        let topic = Topic::create(stack.kafka(), "memory", partitions).await?;
        let settings =
            [("compression.type", "zstd"), ("linger.ms", "500"), ("batch.size", "1000000")];
        let producer = Producer::with(stack.kafka(), &settings)?;
        let mut source = StdRng::seed_from_u64(1);
        let padding = "a".repeat(same);
        let mut unpacked = 0;
        for partition in 0..partitions {
            let texts: Vec<String> = (0..events)
                .map(|number| {
                    let id = partition * events + number;
                    let digits = (0..random).map(|_| char::from(source.random_range(b'0'..=b'9')));
                    format!(r#"{{"id": {id}, "note": "{padding}{}"}}"#, digits.collect::<String>())
                })
                .collect();
            unpacked += texts.iter().map(|text| text.len() as u64).sum::<u64>();
            let messages = texts.iter().map(|text| Message {
                partition,
                payload: Some(text.as_bytes()),
                ..Message::default()
            });
            producer.send_all(&topic, messages).await?;
        }
        let mut packed = 0;
        for partition in 0..partitions {
            let segment = Segment::of(&stack.kafka_directory(), &topic, partition);
            packed += segment.batches()?.iter().map(|batch| batch.length).sum::<u64>();
        }
        let ratio = unpacked as f64 / packed as f64;
        let events = i64::from(partitions) * i64::from(events);
        Ok(Self { database, topic, events, unpacked, ratio })
    }

    /// Merges it with a writer, and answers the most memory that this had at a time, in MiB.
    async fn merge(
        &self,
        stack: &Stack,
        change: impl Fn(WriterConfig) -> WriterConfig,
    ) -> Result<f64> {
        let config = WriterConfig::new(stack, &self.database, SOURCE, &self.topic);
        let mut writer = Writer::start(stack, change(config.flat("public.event")))?;
        let sql = "select coalesce(sum(next_offset), 0)::int8 from forebay.progress";
        let merged = wait::until_within(wait::LIMIT * 3, "all to be merged", || async {
            let merged: i64 = self.database.primary().query_one(sql, &[]).await?.get(0);
            Ok((merged == self.events).then_some(()))
        });
        merged.await.with_context(|| writer.output().tail())?;
        let peak = memory::peak_mib(writer.id())?;
        writer.stop().await?;
        let rows: i64 =
            self.database.primary().query_one("select count(*) from event", &[]).await?.get(0);
        assert_eq!(rows, self.events);
        println!(
            "{} events, {} MiB unpacked, {:.0}:1, in {} partitions: {peak:.1} MiB at most",
            self.events,
            self.unpacked >> 20,
            self.ratio,
            self.topic.partitions(),
        );
        Ok(peak)
    }
}

/// With default settings.
#[tokio::test]
async fn a_long_backlog_takes_no_more_than_the_budget() -> Result<()> {
    let stack = Stack::from_env()?;
    let backlog = Backlog::create(&stack, (4, 75_000), 20, 10).await?;
    let peak = backlog.merge(&stack, |config| config).await?;
    ensure!(peak < 64.0, "{peak} MiB");
    Ok(())
}

/// With default settings, also if the batches of 64 partitions unpack to 90 times their size.
#[tokio::test]
async fn batches_that_unpack_far_take_no_more_than_the_budget() -> Result<()> {
    let stack = Stack::from_env()?;
    let backlog = Backlog::create(&stack, (PARTITIONS, 3000), 1400, 12).await?;
    ensure!(backlog.ratio > 80.0, "{}:1", backlog.ratio);
    let peak = backlog.merge(&stack, |config| config).await?;
    ensure!(peak < 64.0, "{peak} MiB");
    Ok(())
}

/// Fault 38. What one fetch unpacks to is all that comes on top.
#[tokio::test]
async fn a_compression_bomb_takes_one_fetch_more() -> Result<()> {
    let stack = Stack::from_env()?;
    let backlog = Backlog::create(&stack, (PARTITIONS, 500), 16_000, 6).await?;
    ensure!(backlog.ratio > 900.0, "{}:1", backlog.ratio);
    let peak = backlog.merge(&stack, |config| config).await?;
    ensure!(peak < 192.0, "{peak} MiB");
    Ok(())
}
