//! Fills a topic before anything is measured.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use forebay_tests::{Segment, Topic, wait};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use crate::scenario::Scenario;

/// Sends all events of a scenario: those of a sensor into one partition, in their order.
pub fn preload(kafka: &str, topic: &str, scenario: Scenario, count: u64) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("enable.idempotence", "true")
        .set("linger.ms", "100")
        .set("compression.type", scenario.compression())
        .create()?;
    for (row, payload) in scenario.events(count) {
        let partition = row.sensor % scenario.partitions();
        let mut record: BaseRecord<'_, (), str> =
            BaseRecord::to(topic).partition(partition).payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(anyhow!(error)).context("preload the topic");
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            record = back;
        }
    }
    producer.flush(wait::LIMIT).context("preload the topic")
}

/// How many bytes of events there are to a byte of the broker's log.
pub fn compression_ratio(
    broker: &Path,
    topic: &Topic,
    scenario: Scenario,
    count: u64,
) -> Result<f64> {
    let mut packed = 0;
    for partition in 0..topic.partitions() {
        let batches = Segment::of(broker, topic, partition).batches()?;
        packed += batches.iter().map(|batch| batch.length).sum::<u64>();
    }
    let unpacked: u64 = scenario.events(count).map(|(_, payload)| payload.len() as u64).sum();
    Ok(unpacked as f64 / packed as f64)
}
