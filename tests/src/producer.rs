//! Producing events, and learning where they went.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

use crate::{Topic, wait};

/// Where an event stands: what a delivery report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// An event to be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// The partition that it goes to.
    pub partition: i32,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its payload: none is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds of the epoch; none is the time of sending.
    pub timestamp: Option<i64>,
}

/// Sends events, in order within a partition.
pub struct Producer {
    producer: FutureProducer,
}

impl Producer {
    /// A producer to these bootstrap servers.
    ///
    /// # Errors
    ///
    /// If the client library refuses the configuration.
    pub fn new(kafka: &str) -> Result<Self> {
        Self::with(kafka, &[])
    }

    /// A producer with settings of librdkafka's besides.
    ///
    /// # Errors
    ///
    /// If the client library refuses the configuration.
    pub fn with(kafka: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka).set("enable.idempotence", "true");
        config.set("linger.ms", "1").set("message.max.bytes", "100000000");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Ok(Self { producer: config.create().context("make a producer")? })
    }

    /// Sends one event and waits for its delivery.
    ///
    /// # Errors
    ///
    /// If it is not delivered in time.
    pub async fn send(
        &self,
        topic: &Topic,
        partition: i32,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> Result<Delivery> {
        self.send_message(topic, Message { partition, key, payload, ..Message::default() }).await
    }

    /// [`send`](Self::send), with headers or a timestamp.
    ///
    /// # Errors
    ///
    /// If it is not delivered in time.
    pub async fn send_message(&self, topic: &Topic, message: Message<'_>) -> Result<Delivery> {
        let mut record: FutureRecord<'_, [u8], [u8]> =
            FutureRecord::to(topic.name()).partition(message.partition);
        if let Some(key) = message.key {
            record = record.key(key);
        }
        if let Some(payload) = message.payload {
            record = record.payload(payload);
        }
        if let Some(timestamp) = message.timestamp {
            record = record.timestamp(timestamp);
        }
        if !message.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(message.headers.len());
            let headers = message
                .headers
                .iter()
                .fold(headers, |all, &(key, value)| all.insert(Header { key, value }));
            record = record.headers(headers);
        }
        // The client takes a message or says that its queue is full, and is then asked again.
        let queue = Duration::from_secs(60);
        let sent = tokio::time::timeout(wait::LIMIT, self.producer.send(record, queue))
            .await
            .context("wait for a delivery report")?;
        let delivery = sent.map_err(|(error, _)| error).context("deliver an event")?;
        Ok(Delivery { partition: delivery.partition, offset: delivery.offset })
    }

    /// Sends events, all of a partition in the given order, and waits for all deliveries. The
    /// answer has the same order.
    ///
    /// # Errors
    ///
    /// If one is not delivered in time.
    pub async fn send_all<'a>(
        &self,
        topic: &Topic,
        messages: impl IntoIterator<Item = Message<'a>>,
    ) -> Result<Vec<Delivery>> {
        // The futures hand their message over when they are first polled, which is in order.
        let mut deliveries = Vec::new();
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let part = messages.by_ref().take(10_000);
            deliveries
                .extend(try_join_all(part.map(|message| self.send_message(topic, message))).await?);
        }
        Ok(deliveries)
    }
}
