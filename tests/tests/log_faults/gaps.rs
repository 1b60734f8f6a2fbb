//! Fault 24: offsets without a record are never waited for.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use forebay_tests::{
    Broker, Producer, Segment, Stack, Transactions, Writer, metrics::Metrics, wait,
};

use super::{SOURCE, Stream};

/// Markers and aborted records at the begin, in the middle and at the end.
#[tokio::test]
async fn transactions_leave_gaps_that_are_passed() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = Stream::create(&stack, stack.kafka(), 2, &[]).await?;
    let topic = stream.topic.clone();
    let transactions = Transactions::new(stack.kafka())?;
    transactions.abort(&topic, 0, &stream.events(0, 5)).await?;
    transactions.commit(&topic, 0, &stream.events(0, 4)).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_at(&writer, 0, 11).await?;
    assert_eq!(stream.rows(0).await?, 4);

    // While it runs, and with another partition that has none of it.
    stream.send(1, 2).await?;
    transactions.abort(&topic, 0, &stream.events(0, 3)).await?;
    stream.wait_until_at(&writer, 0, 15).await?;
    transactions.commit(&topic, 0, &stream.events(0, 1)).await?;
    stream.wait_until_at(&writer, 0, 17).await?;
    stream.wait_until_at(&writer, 1, 2).await?;
    assert_eq!((stream.rows(0).await?, stream.rows(1).await?), (5, 2));
    let metrics = Metrics::of(&writer).await?;
    assert_eq!(metrics.get("forebay_offsets_without_record_total", &[])?, 12.0);
    let labels = [("topic", topic.name()), ("partition", "0")];
    wait::until("no lag to be shown", || async {
        let lag = Metrics::of(&writer).await?.get("forebay_consumer_lag_offsets", &labels)?;
        Ok((lag == 0.0).then_some(()))
    })
    .await?;

    // What is between the last record and progress is no reason to stop, nor to merge again.
    writer.stop().await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    writer.wait_until_ready().await?;
    stream.send(0, 1).await?;
    stream.wait_until_at(&writer, 0, 18).await?;
    stream.check_stopped(&mut writer, &[]).await?;
    assert_eq!((stream.rows(0).await?, stream.rows(1).await?), (6, 2));
    ensure!(stream.database.dead_letters(SOURCE).await?.is_empty());
    writer.stop().await
}

/// Also where the last merged record was.
#[tokio::test]
async fn compaction_leaves_gaps_that_are_passed() -> Result<()> {
    let stack = Stack::from_env()?;
    let settings = [("log.cleaner.backoff.ms", "50")];
    let broker = Broker::create(&stack.directory("compacted")?, "broker", &settings).await?;
    let kafka = broker.bootstrap_servers();
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "50"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "0"),
    ];
    let mut stream = Stream::create(&stack, &kafka, 1, &settings).await?;
    let producer = Producer::new(&kafka)?;
    for _ in 0..20 {
        send_keyed(&mut stream, &producer, b"first").await?;
    }
    compact(&mut stream, &producer, &broker, 18).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_at(&writer, 0, i64::from(stream.sent)).await?;
    let passed = Metrics::of(&writer).await?.get("forebay_offsets_without_record_total", &[])?;
    ensure!(passed >= 19.0, "{passed} offsets without a record");
    let sql = "select array_agg(id order by id) from event where id < 20";
    let first: Vec<i32> = stream.database.primary().query_one(sql, &[]).await?.get(0);
    assert_eq!(first, [19]);
    writer.stop().await?;

    let last = i64::from(stream.sent) - 1;
    compact(&mut stream, &producer, &broker, last).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_at(&writer, 0, i64::from(stream.sent)).await?;
    stream.check_stopped(&mut writer, &[]).await?;
    ensure!(stream.database.dead_letters(SOURCE).await?.is_empty());
    writer.stop().await
}

async fn send_keyed(stream: &mut Stream, producer: &Producer, key: &[u8]) -> Result<i64> {
    let event = stream.events(0, 1).concat();
    Ok(producer.send(&stream.topic, 0, Some(key), Some(event.as_bytes())).await?.offset)
}

/// Sends events of one key until the cleaner has removed the record at this offset.
async fn compact(
    stream: &mut Stream,
    producer: &Producer,
    broker: &Broker,
    offset: i64,
) -> Result<()> {
    let segment = Segment::of(broker.directory(), &stream.topic, 0);
    for _ in 0..2000 {
        send_keyed(stream, producer, b"other").await?;
        // The cleaner replaces the file at any time.
        let Ok(batches) = segment.batches() else { continue };
        let later = batches.iter().any(|batch| batch.base_offset > offset);
        if later && !batches.iter().any(|batch| batch.base_offset == offset) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("the record at offset {offset} is still there")
}
