//! Fills a topic before anything is measured.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use forebay_tests::{Segment, Topic, wait};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use crate::stream::Stream;

/// Sends all events of a stream: those of a sensor into one partition, in their order.
pub fn stream(kafka: &str, topic: &str, stream: Stream, count: u64) -> Result<()> {
    let preloader = Preloader::new(kafka, topic, &[("compression.type", stream.compression())])?;
    for (row, payload) in stream.events(count) {
        preloader.send(row.sensor % stream.partitions(), &payload)?;
    }
    preloader.flush()
}

/// Sends events, one after the other to each of so many partitions.
pub fn spread(
    kafka: &str,
    topic: &str,
    partitions: i32,
    events: impl Iterator<Item = impl AsRef<str>>,
) -> Result<()> {
    let preloader = Preloader::new(kafka, topic, &[])?;
    for (partition, event) in (0..partitions).cycle().zip(events) {
        preloader.send(partition, event.as_ref())?;
    }
    preloader.flush()
}

/// Sends events to a topic, as fast as it takes them.
pub struct Preloader<'a> {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: &'a str,
}

impl<'a> Preloader<'a> {
    /// With settings of librdkafka's besides.
    pub fn new(kafka: &str, topic: &'a str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka).set("enable.idempotence", "true");
        config.set("linger.ms", "100");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Ok(Self { producer: config.create()?, topic })
    }

    /// Sends one, or waits until there is room for it.
    pub fn send(&self, partition: i32, payload: &str) -> Result<()> {
        let mut record: BaseRecord<'_, (), str> =
            BaseRecord::to(self.topic).partition(partition).payload(payload);
        while let Err((error, back)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(anyhow!(error)).context("preload the topic");
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            record = back;
        }
        Ok(())
    }

    /// Waits until all are delivered.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(wait::LIMIT).context("preload the topic")
    }
}

/// How many bytes of events there are to a byte of the broker's log.
pub fn compression_ratio(broker: &Path, topic: &Topic, stream: Stream, count: u64) -> Result<f64> {
    let mut packed = 0;
    for partition in 0..topic.partitions() {
        let batches = Segment::of(broker, topic, partition).batches()?;
        packed += batches.iter().map(|batch| batch.length).sum::<u64>();
    }
    let unpacked: u64 = stream.events(count).map(|(_, payload)| payload.len() as u64).sum();
    Ok(unpacked as f64 / packed as f64)
}
