//! Fault 23: the offsets that Kafka keeps for the consumer group are for lag tools alone.

use anyhow::Result;
use forebay_tests::{NumberedStream, Stack, Writer, numbered_stream::SOURCE};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer},
    topic_partition_list::{Offset, TopicPartitionList},
};

/// Sets the group's offsets of all partitions.
fn set_group_offsets(kafka: &str, topic: &str, partitions: i32, offset: i64) -> Result<()> {
    let group = format!("forebay.{SOURCE}");
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka).set("group.id", group).create()?;
    let mut offsets = TopicPartitionList::new();
    for partition in 0..partitions {
        offsets.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    Ok(client.commit(&offsets, CommitMode::Sync)?)
}

/// Back and forward, under a running writer and between two.
#[tokio::test]
async fn group_offsets_set_by_hand_change_nothing() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "group", 2).await?;
    let set = |topic: &str, offset: i64| {
        let (kafka, topic) = (stack.kafka().to_owned(), topic.to_owned());
        tokio::task::spawn_blocking(move || set_group_offsets(&kafka, &topic, 2, offset))
    };
    let topic = stream.topic().name().to_owned();
    for offset in [0, 1_000_000] {
        stream.send(200).await?;
        let mut writer = Writer::start(&stack, stream.config())?;
        stream.wait_until_all_merged().await?;
        set(&topic, offset).await??;
        stream.send(200).await?;
        stream.wait_until_all_merged().await?;
        writer.stop().await?;
        set(&topic, offset).await??;
        stream.send(200).await?;
        let mut writer = Writer::start(&stack, stream.config())?;
        stream.wait_until_all_merged().await?;
        writer.stop().await?;
        stream.check_complete().await?;
    }
    Ok(())
}
