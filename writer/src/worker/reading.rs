//! A worker's consumer, and where it hands its batches over.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::warn;

use super::{Surroundings, Worker};
use crate::consume::{self, ConsumeError, Expected};
use crate::event_batch::EventBatch;
use crate::hand_over::{Cap, Decoder, HandOver, Taken};
use crate::kafka::KafkaConsumer;

/// How long the Kafka client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(4);

/// A consumer that reads what a claim says, on a thread of its own. Dropping it stops it.
pub(super) struct Reading {
    consumer: Arc<KafkaConsumer>,
    hand_over: Arc<HandOver<ConsumeError>>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    /// Assigns partitions, and starts to read.
    ///
    /// # Errors
    /// If the client refuses them, or the system the thread.
    pub fn start(
        surroundings: &Surroundings,
        consumer: Arc<KafkaConsumer>,
        expected: Vec<Expected>,
        decoder: Decoder,
    ) -> Result<Self, ConsumeError> {
        let Surroundings { config, metrics, .. } = surroundings;
        let bytes = usize::try_from(config.batch.max_bytes.as_u64()).unwrap_or(usize::MAX);
        let rows = usize::try_from(config.batch.max_rows).unwrap_or(usize::MAX);
        let cap = Cap { rows, bytes };
        let hand_over = Arc::new(HandOver::new(decoder, cap, metrics.buffered_bytes.clone()));
        let (kafka, metrics) = (config.kafka.clone(), metrics.clone());
        let thread = consume::start(kafka, consumer.clone(), expected, hand_over.clone(), metrics)?;
        Ok(Self { consumer, hand_over, thread: Some(thread) })
    }

    /// The consumer, to commit offsets by.
    pub fn consumer(&self) -> &KafkaConsumer {
        &self.consumer
    }

    /// Lets the Kafka client send what it still has to, and end: that blocks. Answers when it has
    /// ended or is left behind, which need not be waited for.
    pub fn end(mut self) -> tokio::task::JoinHandle<()> {
        let thread = self.thread.take();
        tokio::task::spawn_blocking(move || {
            // The thread's is the last reference then, or this one.
            drop(self);
            if thread.is_some_and(|thread| thread.join().is_err()) {
                warn!("the consumer's thread panicked");
            }
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.hand_over.stop();
    }
}

impl Worker {
    /// Tells the consumer to take no more; what it has taken is still handed over.
    pub(super) fn stop_reading(&self) {
        if let Some(reading) = &self.reading {
            reading.hand_over.stop();
        }
    }

    /// Lets the consumer end, in its own time.
    pub fn end_reading(&mut self) {
        if let Some(reading) = self.reading.take() {
            drop(reading.end());
        }
    }

    /// Waits for the next batch. A worker without anything to read has none, and ends when it is
    /// to.
    pub(super) async fn take(
        &self,
        spare: Box<EventBatch>,
        is_ending: bool,
    ) -> Taken<ConsumeError> {
        match &self.reading {
            Some(reading) => reading.hand_over.take(spare).await,
            None if is_ending => Taken::Ended(None),
            None => std::future::pending().await,
        }
    }

    /// Lets the Kafka client send what it still has to, within a bound.
    pub async fn say_goodbye(mut self) {
        let Some(reading) = self.reading.take() else { return };
        if tokio::time::timeout(GOODBYE, reading.end()).await.is_err() {
            warn!("the Kafka client did not end in time; offsets at the broker may be old");
        }
    }
}
