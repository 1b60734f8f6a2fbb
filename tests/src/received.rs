//! What a topic holds.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{BaseConsumer, Consumer},
    topic_partition_list::{Offset, TopicPartitionList},
};

use crate::{Topic, wait};

/// A message of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its partition.
    pub partition: i32,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
}

impl Topic {
    /// Reads all that it holds now: partition by partition, in their order.
    ///
    /// # Errors
    ///
    /// If the broker does not give it.
    pub async fn read(&self, kafka: &str) -> Result<Vec<Received>> {
        let (topic, kafka) = (self.clone(), kafka.to_owned());
        tokio::task::spawn_blocking(move || topic.read_blocking(&kafka)).await?
    }

    fn read_blocking(&self, kafka: &str) -> Result<Vec<Received>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("group.id", "reads and leaves nothing")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let mut received = Vec::new();
        for partition in 0..self.partitions() {
            let (low, high) = consumer.fetch_watermarks(self.name(), partition, wait::LIMIT)?;
            if low == high {
                continue;
            }
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(self.name(), partition, Offset::Offset(low))?;
            consumer.assign(&from)?;
            loop {
                let message =
                    consumer.poll(Duration::from_secs(30)).context("no message comes")??;
                received.push(Received {
                    partition,
                    key: message.key().map(<[u8]>::to_vec),
                    payload: message.payload().map(<[u8]>::to_vec),
                });
                if message.offset() + 1 >= high {
                    break;
                }
            }
        }
        Ok(received)
    }
}
