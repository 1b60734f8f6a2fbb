//! Fills a topic before anything is measured.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use forebay_tests::{Segment, Topic, wait};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use crate::{
    producing::{Producing, Stop},
    servers::Servers,
    stream::Stream,
};

/// A topic with all events of a stream: those of a key in one partition, in their order.
pub async fn topic(servers: &Servers, stream: &Stream, count: u64) -> Result<Topic> {
    let topic = servers.topic(stream.partitions).await?;
    let (kafka, to, stream) = (servers.kafka().to_owned(), topic.clone(), stream.clone());
    let work = move |stop: &Stop| {
        let settings = [("compression.type", stream.compression.name())];
        let preloader = Preloader::new(&kafka, to.name(), &settings, stop)?;
        for (row, payload) in stream.events(count) {
            preloader.send(stream.partition(row), &payload)?;
        }
        preloader.flush()
    };
    Producing::start(work).finish().await?;
    Ok(topic)
}

/// A topic with these events, one after the other in each of so many partitions.
pub async fn spread<E>(servers: &Servers, partitions: i32, events: E) -> Result<Topic>
where
    E: Iterator<Item = String> + Send + 'static,
{
    let topic = servers.topic(partitions).await?;
    let (kafka, to) = (servers.kafka().to_owned(), topic.clone());
    let work = move |stop: &Stop| {
        let preloader = Preloader::new(&kafka, to.name(), &[], stop)?;
        for (partition, event) in (0..partitions).cycle().zip(events) {
            preloader.send(partition, &event)?;
        }
        preloader.flush()
    };
    Producing::start(work).finish().await?;
    Ok(topic)
}

/// Sends events to a topic, as fast as it takes them.
pub struct Preloader<'a> {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: &'a str,
    stop: &'a Stop,
}

impl<'a> Preloader<'a> {
    /// With settings of librdkafka's besides.
    pub fn new(
        kafka: &str,
        topic: &'a str,
        settings: &[(&str, &str)],
        stop: &'a Stop,
    ) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka).set("enable.idempotence", "true");
        config.set("linger.ms", "100");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Ok(Self { producer: config.create()?, topic, stop })
    }

    /// Sends one, or waits until there is room for it.
    pub fn send(&self, partition: i32, payload: &str) -> Result<()> {
        self.stop.check()?;
        let mut record: BaseRecord<'_, (), str> =
            BaseRecord::to(self.topic).partition(partition).payload(payload);
        while let Err((error, back)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(anyhow!(error)).context("produce into the topic");
            }
            self.stop.check()?;
            thread::sleep(Duration::from_millis(5));
            record = back;
        }
        Ok(())
    }

    /// Waits until all are delivered.
    pub fn flush(&self) -> Result<()> {
        let deadline = Instant::now() + wait::LIMIT;
        while let Err(error) = self.producer.flush(Duration::from_millis(100)) {
            self.stop.check()?;
            if Instant::now() > deadline {
                return Err(anyhow!(error)).context("produce into the topic");
            }
        }
        Ok(())
    }
}

/// How many bytes of events there are to a byte of the broker's log.
pub fn compression_ratio(broker: &Path, topic: &Topic, stream: &Stream, count: u64) -> Result<f64> {
    let mut packed = 0;
    for partition in 0..topic.partitions() {
        let batches = Segment::of(broker, topic, partition).batches()?;
        packed += batches.iter().map(|batch| batch.length).sum::<u64>();
    }
    let unpacked: u64 = stream.events(count).map(|(_, payload)| payload.len() as u64).sum();
    Ok(unpacked as f64 / packed as f64)
}
