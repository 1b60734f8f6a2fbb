//! Transactions of events, committed or aborted.

use anyhow::Result;
use futures_util::future::try_join_all;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord, Producer as _},
};

use crate::{Topic, producer::Delivery, stack::unique, wait};

/// A producer of transactions: one after the other.
pub struct Transactions {
    producer: FutureProducer,
}

impl Transactions {
    /// A producer with an id of its own.
    ///
    /// # Errors
    ///
    /// If the broker does not let it have transactions.
    pub fn new(kafka: &str) -> Result<Self> {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("transactional.id", unique("transactions"))
            .set("linger.ms", "1")
            .create()?;
        producer.init_transactions(wait::LIMIT)?;
        Ok(Self { producer })
    }

    /// Sends events to a partition, and commits them.
    ///
    /// # Errors
    ///
    /// If the broker refuses.
    pub async fn commit(
        &self,
        topic: &Topic,
        partition: i32,
        payloads: &[String],
    ) -> Result<Vec<Delivery>> {
        let sent = self.send(topic, partition, payloads).await?;
        self.producer.commit_transaction(wait::LIMIT)?;
        Ok(sent)
    }

    /// Sends events to a partition, and aborts them.
    ///
    /// # Errors
    ///
    /// If the broker refuses.
    pub async fn abort(
        &self,
        topic: &Topic,
        partition: i32,
        payloads: &[String],
    ) -> Result<Vec<Delivery>> {
        let sent = self.send(topic, partition, payloads).await?;
        self.producer.abort_transaction(wait::LIMIT)?;
        Ok(sent)
    }

    async fn send(
        &self,
        topic: &Topic,
        partition: i32,
        payloads: &[String],
    ) -> Result<Vec<Delivery>> {
        self.producer.begin_transaction()?;
        let sends = payloads.iter().map(|payload| async move {
            let record: FutureRecord<'_, [u8], [u8]> =
                FutureRecord::to(topic.name()).partition(partition).payload(payload.as_bytes());
            let sent = self.producer.send(record, wait::LIMIT).await;
            let delivery = sent.map_err(|(error, _)| error)?;
            anyhow::Ok(Delivery { partition: delivery.partition, offset: delivery.offset })
        });
        try_join_all(sends).await
    }
}
