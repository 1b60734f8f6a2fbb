//! Fills a topic before anything is measured.

use anyhow::{Context, Result, anyhow};
use forebay_tests::wait;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use crate::{PARTITIONS, scenario::Scenario};

/// Sends all events of a scenario: those of a sensor into one partition, in their order.
pub fn preload(kafka: &str, topic: &str, scenario: Scenario, count: u64) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .create()?;
    for (row, payload) in scenario.events(count) {
        let partition = row.sensor % PARTITIONS;
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
