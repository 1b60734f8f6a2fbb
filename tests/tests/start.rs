//! Where a source starts that was never seen: at a time, or where a consumer group would go on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Message, NumberedStream, Producer, Stack, Writer,
    command::run,
    numbered_stream::{SOURCE, TABLE},
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

/// Keeps these offsets, by partition, under a group's name, as its own consumer would.
async fn commit(
    stack: &Stack,
    stream: &NumberedStream,
    group: &str,
    offsets: &[(i32, i64)],
) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka())
        .set("group.id", group)
        .create()?;
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        let topic = stream.topic().name();
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    let commit = move || {
        consumer.commit(&list, CommitMode::Sync)?;
        consumer.committed_offsets(list, Duration::from_secs(30))
    };
    tokio::task::spawn_blocking(commit).await?.context("commit offsets")?;
    Ok(())
}

/// The first number of each partition in the table, and how many there are.
async fn merged(stream: &NumberedStream) -> Result<Vec<(i32, i64, i64)>> {
    let sql = format!(
        "select partition, min(number), count(*) from {TABLE} group by partition order by partition"
    );
    let rows = stream.database().primary().query(&sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// The offsets of progress, by partition.
async fn progress(stream: &NumberedStream) -> Result<Vec<i64>> {
    let sql = "select next_offset from forebay.progress where source = $1 order by partition";
    let rows = stream.database().primary().query(sql, &[&SOURCE]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The group says where to start once; where it has no offset, that is the first record. Later
/// the database alone decides.
#[tokio::test]
async fn a_group_s_offsets_are_taken_once() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "group", 3).await?;
    let group = format!("{}-readers", stream.topic().name());
    stream.send(30).await?;
    commit(&stack, &stream, &group, &[(0, 4), (1, 10)]).await?;
    let config = stream.config().set("source.start", format!("group:{group}"));

    let mut writer = Writer::start(&stack, config.clone())?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    let warning = writer.wait_for_line("no offset for some partitions").await?;
    let missing = format!("partitions=\"{}/2\"", stream.topic().name());
    ensure!(warning.contains(&missing), "{warning}");
    writer.stop().await?;
    assert_eq!(merged(&stream).await?, [(0, 4, 6), (2, 0, 10)]);

    commit(&stack, &stream, &group, &[(0, 0), (1, 0), (2, 0)]).await?;
    stream.send(3).await?;
    let mut writer = Writer::start(&stack, config)?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    writer.stop().await?;
    assert_eq!(merged(&stream).await?, [(0, 4, 7), (1, 10, 1), (2, 0, 11)]);
    Ok(())
}

/// A name without offsets is most likely a misspelt one, and offsets out of the log are those of
/// another. Nothing is stored then.
#[tokio::test]
async fn a_group_that_is_no_start_stops_the_writer() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "no_group", 2).await?;
    let group = format!("{}-readers", stream.topic().name());
    stream.send(10).await?;
    let config = stream.config().set("source.start", format!("group:{group}"));
    let ended = run(&stack, &config).await?;
    let said = format!("consumer group \"{group}\", which has no offset in any");
    ensure!(ended.code == Some(1) && ended.said().contains(&said), "{ended:?}");

    commit(&stack, &stream, &group, &[(0, 3), (1, 6)]).await?;
    let ended = run(&stack, &config).await?;
    let said = format!("is at offset 6 of {}/1, but the log has 0 to 5", stream.topic().name());
    ensure!(ended.code == Some(1) && ended.said().contains(&said), "{ended:?}");
    assert_eq!(progress(&stream).await?, [] as [i64; 0]);

    commit(&stack, &stream, &group, &[(1, 5)]).await?;
    let mut writer = Writer::start(&stack, config)?;
    writer.wait_until_ready().await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    writer.stop().await?;
    assert_eq!(merged(&stream).await?, [(0, 3, 2)]);
    Ok(())
}

/// A partition without a record of that time or later starts at its end.
#[tokio::test]
async fn a_time_is_where_the_first_record_of_it_is() -> Result<()> {
    let stack = Stack::from_env()?;
    let stream = NumberedStream::create(&stack, "time", 2).await?;
    let producer = Producer::new(stack.kafka())?;
    for (partition, number, minute) in [(0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 0)] {
        let text = format!(r#"{{"partition": {partition}, "number": {number}}}"#);
        let timestamp = Some(1_767_225_600_000 + minute * 60_000);
        let message =
            Message { partition, payload: Some(text.as_bytes()), timestamp, ..Message::default() };
        producer.send_message(stream.topic(), message).await?;
    }
    let config = stream.config().set("source.start", "2026-01-01T00:00:30Z");
    let mut writer = Writer::start(&stack, config)?;
    stream.wait_until_merged(4).await.with_context(|| writer.output().tail())?;
    writer.stop().await?;
    assert_eq!(merged(&stream).await?, [(0, 1, 2)]);
    assert_eq!(progress(&stream).await?, [3, 1]);
    Ok(())
}
