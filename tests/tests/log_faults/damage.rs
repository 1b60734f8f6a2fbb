//! Fault 36: a byte flipped in the broker's log.

use anyhow::{Context, Result, ensure};
use forebay_tests::{Segment, Stack, Writer};

use super::{SOURCE, Stream, expect};

/// Three batches in each of two partitions, of which one has its second one damaged.
async fn damaged(compression: &str) -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = Stream::create(&stack, stack.kafka(), 3, &[]).await?;
    for partition in 0..3 {
        for _ in 0..3 {
            stream.send_with(partition, 10, &[("compression.type", compression)]).await?;
        }
    }
    let segment = Segment::of(&stack.kafka_directory(), &stream.topic, 1);
    let batch = segment.batches()?.into_iter().nth(1).context("the second batch")?;
    assert_eq!((batch.base_offset, batch.last_offset), (10, 19));
    segment.flip(batch.position + batch.length - 20)?;

    let mut writer = Writer::start(&stack, stream.config())?;
    let said = stream.wait_until_stopped(&writer, 1).await?;
    let topic = stream.topic.name();
    let command = format!("forebay resume --config FILE --topic {topic} --partition 1");
    for expected in ["offset 10", "damaged", &command, "--skip-unreadable"] {
        ensure!(said.contains(expected), "no `{expected}` in {said}");
    }
    for partition in [0, 2] {
        stream.wait_until_at(&writer, partition, 30).await?;
    }
    stream.wait_until_at(&writer, 1, 10).await?;
    stream.check_stopped(&mut writer, &[1]).await?;
    // The others go on, and the stopped one stays where it is.
    stream.send(1, 1).await?;
    stream.send(0, 5).await?;
    stream.wait_until_at(&writer, 0, 35).await?;
    assert_eq!(stream.next_offset(1).await?, Some(10));

    // Another writer finds the same.
    writer.stop().await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_stopped(&writer, 1).await?;
    stream.wait_until_at(&writer, 1, 10).await?;

    let looked = stream.resume(&stack, 1, &["--skip-unreadable"]).await?;
    expect(&looked, 1, &["10 offsets, 10 to 19", "go on at   offset 20", "nothing was changed"]);
    assert_eq!(stream.next_offset(1).await?, Some(10));
    let done = stream.resume(&stack, 1, &["--skip-unreadable", "--yes"]).await?;
    expect(&done, 0, &["progress is changed"]);
    stream.wait_until_at(&writer, 1, 31).await?;
    stream.check_stopped(&mut writer, &[]).await?;
    assert_eq!([stream.rows(0).await?, stream.rows(1).await?, stream.rows(2).await?], [35, 21, 30]);
    let letters = stream.database.dead_letters(SOURCE).await?;
    let offsets: Vec<i64> = letters.iter().map(|letter| letter.event.offset).collect();
    assert_eq!(offsets, (10..20).collect::<Vec<_>>());
    for letter in &letters {
        assert_eq!((&*letter.sqlstate, &letter.payload), ("XX001", &None));
        ensure!(letter.message.contains("at offset 10"), "{letter:?}");
    }

    // There is nothing to skip where the log can be read.
    stream.send(1, 1).await?;
    stream.wait_until_at(&writer, 1, 32).await?;
    let refused = stream.resume(&stack, 1, &["--skip-unreadable", "--yes"]).await?;
    expect(&refused, 1, &["is not in the log"]);
    writer.stop().await
}

#[tokio::test]
async fn a_damaged_batch_stops_its_partition_alone() -> Result<()> {
    damaged("none").await
}

#[tokio::test]
async fn a_damaged_compressed_batch_stops_its_partition_alone() -> Result<()> {
    damaged("zstd").await
}

/// The last batch of the log can be skipped too, and no readable record is.
#[tokio::test]
async fn only_what_cannot_be_read_is_skipped() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = Stream::create(&stack, stack.kafka(), 1, &[]).await?;
    stream.send(0, 4).await?;
    stream.send(0, 4).await?;
    let refused = stream.resume(&stack, 0, &["--skip-unreadable", "--yes"]).await?;
    expect(&refused, 1, &["has no progress of"]);
    let segment = Segment::of(&stack.kafka_directory(), &stream.topic, 0);
    let batch = segment.batches()?[1];
    segment.flip(batch.position + batch.length - 1)?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_stopped(&writer, 0).await?;
    stream.wait_until_at(&writer, 0, 4).await?;
    segment.flip(batch.position + batch.length - 1)?;
    let refused = stream.resume(&stack, 0, &["--skip-unreadable", "--yes"]).await?;
    expect(&refused, 1, &["the record at offset 4 can be read"]);
    segment.flip(batch.position + batch.length - 1)?;
    let done = stream.resume(&stack, 0, &["--skip-unreadable", "--yes"]).await?;
    expect(&done, 0, &["4 offsets, 4 to 7", "go on at   offset 8"]);
    stream.send(0, 2).await?;
    stream.wait_until_at(&writer, 0, 10).await?;
    assert_eq!(stream.rows(0).await?, 6);
    assert_eq!(stream.database.dead_letters(SOURCE).await?.len(), 4);
    writer.stop().await
}

/// No checksum covers a batch's first offset.
#[tokio::test]
async fn a_damaged_offset_stops_its_partition_alone() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = Stream::create(&stack, stack.kafka(), 2, &[]).await?;
    for partition in 0..2 {
        stream.send(partition, 3).await?;
        stream.send(partition, 3).await?;
    }
    let segment = Segment::of(&stack.kafka_directory(), &stream.topic, 0);
    let batch = segment.batches()?[1];
    // The offset of the batch has eight bytes: 3 becomes 65539.
    segment.flip(batch.position + 5)?;
    let mut writer = Writer::start(&stack, stream.config())?;
    let said = stream.wait_until_stopped(&writer, 0).await?;
    ensure!(said.contains("offset 65539, but the log ends at 6"), "{said}");
    stream.wait_until_at(&writer, 1, 6).await?;
    stream.wait_until_at(&writer, 0, 3).await?;
    stream.check_stopped(&mut writer, &[0]).await?;
    writer.stop().await
}
