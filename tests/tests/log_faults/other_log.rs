//! Faults 13, 14 and 15: records that are gone, and another log in place of the one that was read.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Broker, Producer, Segment, Stack, Topic, Transactions, Writer, stack::unique, wait,
};

use super::{SOURCE, Stream, expect};

/// Fault 13: cut off, and cut off and grown since.
#[tokio::test]
async fn a_truncated_log_stops_its_partition_alone() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut broker = Broker::create(&stack.directory("cut")?, "broker", &[]).await?;
    let kafka = broker.bootstrap_servers();
    let mut stream = Stream::create(&stack, &kafka, 3, &[]).await?;
    for partition in 0..3 {
        stream.send(partition, 4).await?;
        stream.send(partition, 4).await?;
    }
    let mut writer = Writer::start(&stack, stream.config())?;
    for partition in 0..3 {
        stream.wait_until_at(&writer, partition, 8).await?;
    }
    writer.stop().await?;
    broker.kill()?;
    for partition in [0, 1] {
        Segment::of(broker.directory(), &stream.topic, partition).cut_before(4)?;
    }
    broker.start().await?;
    assert_eq!(stream.topic.watermarks(&kafka, 0).await?, (0, 4));
    stream.send(1, 7).await?;
    stream.send(2, 1).await?;

    let mut writer = Writer::start(&stack, stream.config())?;
    let said = stream.wait_until_stopped(&writer, 0).await?;
    ensure!(said.contains("progress is at offset 8, but the log ends at 4"), "{said}");
    let said = stream.wait_until_stopped(&writer, 1).await?;
    ensure!(said.contains("the record at offset 7 is not the one that was merged"), "{said}");
    stream.wait_until_at(&writer, 2, 9).await?;
    stream.check_stopped(&mut writer, &[0, 1]).await?;
    for partition in [0, 1] {
        assert_eq!(stream.next_offset(partition).await?, Some(8));
        assert_eq!(stream.rows(partition).await?, 8);
    }

    let refused = stream.resume(&stack, 0, &["--from", "5", "--yes"]).await?;
    expect(&refused, 1, &["offset 5 is not in the log, which has 0 to 4"]);
    let done = stream.resume(&stack, 0, &["--from", "latest", "--yes"]).await?;
    expect(&done, 0, &["repeated   4 offsets, 4 to 7", "progress is changed"]);
    let done = stream.resume(&stack, 1, &["--from", "4", "--yes"]).await?;
    expect(&done, 0, &["go on at   offset 4"]);
    stream.send(0, 1).await?;
    stream.wait_until_at(&writer, 0, 5).await?;
    stream.wait_until_at(&writer, 1, 11).await?;
    stream.check_stopped(&mut writer, &[]).await?;
    assert_eq!([stream.rows(0).await?, stream.rows(1).await?, stream.rows(2).await?], [9, 15, 9]);
    writer.stop().await
}

/// Fault 14: also while the writer runs, and behind it.
#[tokio::test]
async fn retention_past_progress_stops_its_partition_alone() -> Result<()> {
    let stack = Stack::from_env()?;
    let kafka = stack.kafka();
    let mut stream = Stream::create(&stack, kafka, 2, &[]).await?;
    for partition in 0..2 {
        stream.send(partition, 4).await?;
    }
    let mut writer = Writer::start(&stack, stream.config())?;
    for partition in 0..2 {
        stream.wait_until_at(&writer, partition, 4).await?;
    }
    writer.stop().await?;
    for partition in 0..2 {
        stream.send(partition, 6).await?;
    }
    stream.topic.delete_records(kafka, 0, 7).await?;
    // What is merged may go.
    stream.topic.delete_records(kafka, 1, 4).await?;

    let mut writer = Writer::start(&stack, stream.config())?;
    let said = stream.wait_until_stopped(&writer, 0).await?;
    ensure!(said.contains("progress is at offset 4, but the log begins at 7"), "{said}");
    ensure!(said.contains("--partition 0 --from earliest"), "{said}");
    stream.wait_until_at(&writer, 1, 10).await?;
    stream.check_stopped(&mut writer, &[0]).await?;
    assert_eq!((stream.rows(0).await?, stream.next_offset(0).await?), (4, Some(4)));

    let done = stream.resume(&stack, 0, &["--from", "earliest", "--yes"]).await?;
    expect(&done, 0, &["3 offsets, 4 to 6, which the log no longer has: never merged"]);
    stream.wait_until_at(&writer, 0, 10).await?;
    stream.check_stopped(&mut writer, &[]).await?;
    assert_eq!((stream.rows(0).await?, stream.rows(1).await?), (7, 10));
    writer.stop().await
}

/// The exception of fault 14: the log ends in transaction markers, and is empty now.
#[tokio::test]
async fn retention_of_a_drained_partition_is_no_loss() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = Stream::create(&stack, stack.kafka(), 1, &[]).await?;
    let transactions = Transactions::new(stack.kafka())?;
    transactions.commit(&stream.topic.clone(), 0, &stream.events(0, 3)).await?;
    transactions.abort(&stream.topic.clone(), 0, &stream.events(0, 3)).await?;
    // Three records, a marker, three records, and a marker, which is written after the answer.
    let end = 8;
    wait::until("the end of the aborted transaction", || async {
        let (_, found) = stream.topic.watermarks(stack.kafka(), 0).await?;
        Ok((found == end).then_some(()))
    })
    .await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_at(&writer, 0, end).await?;
    writer.stop().await?;
    stream.topic.delete_records(stack.kafka(), 0, end).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    writer.wait_until_ready().await?;
    stream.send(0, 2).await?;
    stream.wait_until_at(&writer, 0, end + 2).await?;
    stream.check_stopped(&mut writer, &[]).await?;
    assert_eq!(stream.rows(0).await?, 5);
    writer.stop().await
}

/// Fault 15: shorter and longer than before, on an idle topic and on a busy one.
async fn recreated(records: i32, runs: bool) -> Result<()> {
    let stack = Stack::from_env()?;
    let kafka = stack.kafka();
    let mut stream = Stream::create(&stack, kafka, 2, &[]).await?;
    for partition in 0..2 {
        stream.send(partition, 6).await?;
    }
    let mut writer = Writer::start(&stack, stream.config())?;
    for partition in 0..2 {
        stream.wait_until_at(&writer, partition, 6).await?;
    }
    if !runs {
        writer.stop().await?;
    }
    stream.topic.delete(kafka).await?;
    if runs {
        stream.wait_until_nothing_is_owned(&writer).await?;
    }
    stream.topic = Topic::create_with(kafka, stream.topic.name(), 2, &[]).await?;
    if records > 0 {
        stream.send(0, records).await?;
    }
    if !runs {
        writer = Writer::start(&stack, stream.config())?;
    }
    let said = stream.wait_until_stopped(&writer, 0).await?;
    ensure!(said.contains("made anew"), "{said}");
    stream.wait_until_stopped(&writer, 1).await?;
    stream.check_stopped(&mut writer, &[0, 1]).await?;
    assert_eq!((stream.rows(0).await?, stream.next_offset(0).await?), (6, Some(6)));

    for partition in [0, 1] {
        let done = stream.resume(&stack, partition, &["--from", "earliest", "--yes"]).await?;
        expect(&done, 0, &["go on at   offset 0"]);
    }
    stream.wait_until_at(&writer, 0, i64::from(records)).await?;
    stream.send(1, 1).await?;
    stream.wait_until_at(&writer, 1, 1).await?;
    stream.check_stopped(&mut writer, &[]).await?;
    assert_eq!(stream.rows(0).await?, 6 + i64::from(records));
    writer.stop().await
}

#[tokio::test]
async fn a_topic_made_anew_and_empty_is_noticed() -> Result<()> {
    recreated(0, false).await
}

#[tokio::test]
async fn a_topic_made_anew_and_longer_is_noticed() -> Result<()> {
    recreated(9, false).await
}

#[tokio::test]
async fn a_topic_made_anew_while_it_is_read_is_noticed() -> Result<()> {
    recreated(9, true).await
}

/// Fault 15: one of two topics is deleted. The writer reads the other one on, and looks out for the
/// one that is gone.
#[tokio::test]
async fn a_deleted_topic_holds_up_no_other() -> Result<()> {
    let stack = Stack::from_env()?;
    let kafka = stack.kafka();
    let mut stream = Stream::create(&stack, kafka, 2, &[]).await?;
    let kept = Topic::create(kafka, &unique("kept"), 1).await?;
    let topics = vec![stream.topic.name().to_owned(), kept.name().to_owned()];
    let mut writer = Writer::start(&stack, stream.config().set("source.topics", topics))?;
    for partition in 0..2 {
        stream.send(partition, 3).await?;
        stream.wait_until_at(&writer, partition, 3).await?;
    }
    let producer = Producer::new(kafka)?;
    // Rows of the other topic are those of a partition that this one does not have.
    let event = stream.events(9, 1).concat();
    producer.send(&kept, 0, None, Some(event.as_bytes())).await?;
    wait::until("the other topic's row", || async {
        Ok((stream.rows(9).await? == 1).then_some(()))
    })
    .await?;

    stream.topic.delete(kafka).await?;
    let what = "/readyz to name the topic, and nothing else";
    wait::until(what, || async {
        let answer = writer.get("/readyz").await?;
        let components: Vec<serde_json::Value> = serde_json::from_str(&answer.body)?;
        let mut unready = components.iter().filter(|component| component["ready"] == false);
        let is_it = unready.next().is_some_and(|first| {
            let reason = first["reason"].as_str().unwrap_or_default();
            first["component"] == "topics" && reason.contains(stream.topic.name())
        });
        Ok((is_it && unready.next().is_none()).then_some(()))
    })
    .await
    .with_context(|| writer.output().tail())?;
    let event = stream.events(9, 1).concat();
    let sent = producer.send(&kept, 0, None, Some(event.as_bytes())).await?;
    stream.database.wait_until_merged(SOURCE, &kept, sent).await?;
    assert_eq!(stream.rows(9).await?, 2);

    stream.topic = Topic::create_with(kafka, stream.topic.name(), 2, &[]).await?;
    for partition in 0..2 {
        let said = stream.wait_until_stopped(&writer, partition).await?;
        ensure!(said.contains("made anew"), "{said}");
    }
    let event = stream.events(9, 1).concat();
    let sent = producer.send(&kept, 0, None, Some(event.as_bytes())).await?;
    stream.database.wait_until_merged(SOURCE, &kept, sent).await?;
    stream.check_stopped(&mut writer, &[0, 1]).await?;
    writer.stop().await
}

/// Fault 15: offsets of one cluster mean nothing in another.
#[tokio::test]
async fn another_cluster_is_noticed() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = Stream::create(&stack, stack.kafka(), 1, &[]).await?;
    stream.send(0, 3).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_at(&writer, 0, 3).await?;
    writer.stop().await?;

    let other = Broker::create(&stack.directory("other")?, "broker", &[]).await?;
    stream.kafka = other.bootstrap_servers();
    stream.topic = Topic::create_with(&stream.kafka, stream.topic.name(), 1, &[]).await?;
    stream.send(0, 5).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    writer.wait_for_line("has read topic").await?;
    assert_eq!((stream.rows(0).await?, stream.next_offset(0).await?), (3, Some(3)));

    let done = stream.resume(&stack, 0, &["--from", "earliest", "--yes"]).await?;
    expect(&done, 0, &["progress is of another one", "repeated   3 offsets, 0 to 2"]);
    if writer.exit_status()?.is_some() {
        writer = Writer::start(&stack, stream.config())?;
    }
    stream.wait_until_at(&writer, 0, 5).await?;
    wait::until("all rows", || async { Ok((stream.rows(0).await? == 8).then_some(())) }).await?;
    writer.stop().await
}
