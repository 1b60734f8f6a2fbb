//! Where batches change hands: the consumer's thread fills the open one while the worker merges
//! the one before it.
//!
//! Nagle's algorithm without a timer: an idle worker takes the open batch as soon as it holds
//! anything; a busy one finds all that arrived meanwhile. A batch at its cap makes the consumer
//! wait, which then does not poll, and librdkafka's bounded queue does the rest.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntGauge;
use tokio::sync::Notify;

use crate::catalog::Catalog;
use crate::decode::Format;
use crate::event_batch::EventBatch;
use crate::position::{Offset, Partition, Topic};
use crate::record::Record;

/// What records become rows by. Good for one claim.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// The targets.
    pub catalog: Arc<Catalog>,
    /// The format, checked against them.
    pub format: Arc<Format>,
}

/// How large the open batch may grow.
#[derive(Debug, Clone, Copy)]
pub struct Cap {
    /// In rows, and in events.
    pub rows: usize,
    /// In bytes.
    pub bytes: usize,
}

/// What the consumer's thread spent on a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Getting records, waits for more of them included.
    pub consume: Duration,
    /// Decoding them.
    pub decode: Duration,
}

/// What the worker gets.
#[derive(Debug)]
pub enum Taken<E> {
    /// A batch that holds something.
    Batch(Box<EventBatch>, Spent),
    /// The consumer ended, and everything was taken: it was told to, or it failed.
    Ended(Option<E>),
}

/// Somebody told the consumer to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// The place where batches change hands, for one claim. `E` is why a consumer can fail.
#[derive(Debug)]
pub struct HandOver<E> {
    decoder: Decoder,
    cap: Cap,
    buffered_bytes: IntGauge,
    state: Mutex<State<E>>,
    room: Condvar,
    ready: Notify,
}

#[derive(Debug)]
struct State<E> {
    open: Box<EventBatch>,
    spent: Spent,
    in_flight_bytes: usize,
    /// What of the gauge is this one's.
    shown_bytes: i64,
    stopped: bool,
    ended: Option<Option<E>>,
}

impl<E> HandOver<E> {
    /// An empty one.
    pub fn new(decoder: Decoder, cap: Cap, buffered_bytes: IntGauge) -> Self {
        let state = State {
            open: Box::default(),
            spent: Spent::default(),
            in_flight_bytes: 0,
            shown_bytes: 0,
            stopped: false,
            ended: None,
        };
        Self {
            decoder,
            cap,
            buffered_bytes,
            state: Mutex::new(state),
            room: Condvar::new(),
            ready: Notify::new(),
        }
    }

    /// The consumer's: decodes a record into the open batch, once that has room. `waiting_since` is
    /// when getting the record began; answers when it was decoded.
    ///
    /// # Errors
    /// If it was told to stop; the record is not taken then.
    pub fn push(&self, record: &Record<'_>, waiting_since: Instant) -> Result<Instant, Stopped> {
        let arrived = Instant::now();
        let is_full = |state: &mut State<E>| {
            let open = &state.open;
            !state.stopped
                && (open.row_count().max(open.event_count()) >= self.cap.rows
                    || open.byte_count() >= self.cap.bytes)
        };
        let mut state = self.lock();
        let mut started = arrived;
        if is_full(&mut state) {
            let waited = self.room.wait_while(state, is_full);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            started = Instant::now();
        }
        if state.stopped {
            return Err(Stopped);
        }
        let was_empty = state.open.is_empty();
        if was_empty {
            state.spent = Spent::default();
        } else {
            state.spent.consume += arrived - waiting_since;
        }
        state.open.push(record, &self.decoder.format, &self.decoder.catalog);
        let decoded = Instant::now();
        state.spent.decode += decoded - started;
        self.show(&mut state);
        drop(state);
        if was_empty {
            self.ready.notify_one();
        }
        Ok(decoded)
    }

    /// The consumer's: a partition was read up to there, though its last offsets have no record.
    pub fn advance_to(&self, topic: &Topic, partition: Partition, next_offset: Offset) {
        let mut state = self.lock();
        if !state.stopped {
            state.open.advance_to(topic, partition, next_offset);
            drop(state);
            self.ready.notify_one();
        }
    }

    /// The consumer's last word: it stopped as told, or failed.
    pub fn end(&self, failure: Option<E>) {
        self.lock().ended = Some(failure);
        self.ready.notify_one();
    }

    /// Whether the consumer is to stop.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// The worker's: tells the consumer to take no more.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.room.notify_all();
    }

    /// The worker's: waits until the open batch holds something, and swaps it for `spare`, which
    /// is cleared. Dropping the future loses nothing but the spare.
    pub async fn take(&self, mut spare: Box<EventBatch>) -> Taken<E> {
        spare.clear();
        loop {
            let ready = self.ready.notified();
            {
                let mut state = self.lock();
                state.in_flight_bytes = 0;
                if !state.open.is_empty() {
                    let batch = std::mem::replace(&mut state.open, spare);
                    state.in_flight_bytes = batch.byte_count();
                    self.show(&mut state);
                    self.room.notify_all();
                    return Taken::Batch(batch, state.spent);
                }
                self.show(&mut state);
                if let Some(failure) = state.ended.take() {
                    return Taken::Ended(failure);
                }
            }
            ready.await;
        }
    }

    /// The gauge is the sum over all workers.
    fn show(&self, state: &mut State<E>) {
        let bytes = state.open.byte_count() + state.in_flight_bytes;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.buffered_bytes.add(bytes - state.shown_bytes);
        state.shown_bytes = bytes;
    }

    /// Decoding never panics by contract; if it does all the same, the consumer's thread ends and
    /// its batch with it, so a poisoned state is never merged.
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Drop for HandOver<E> {
    fn drop(&mut self) {
        self.buffered_bytes.sub(self.lock().shown_bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use prometheus::IntGauge;

    use super::{Cap, Decoder, HandOver, Stopped, Taken};
    use crate::catalog::Catalog;
    use crate::decode::{Format, FormatConfig};
    use crate::position::{Offset, Partition, Topic};
    use crate::record::Record;

    fn hand_over(rows: usize) -> Arc<HandOver<&'static str>> {
        let catalog = Catalog::new(Vec::new());
        let format = Format::new(&FormatConfig::Rows, &catalog).unwrap();
        let decoder = Decoder { catalog: Arc::new(catalog), format: Arc::new(format) };
        let cap = Cap { rows, bytes: 1 << 20 };
        Arc::new(HandOver::new(decoder, cap, IntGauge::new("bytes", "bytes").unwrap()))
    }

    fn push(hand_over: &HandOver<&'static str>, offset: i64) -> Result<(), Stopped> {
        let topic = Topic::from("t");
        let record = Record {
            topic: &topic,
            partition: Partition(0),
            offset: Offset(offset),
            timestamp_ms: None,
            key: None,
            payload: Some(b"not json"),
            headers: Vec::new(),
        };
        hand_over.push(&record, Instant::now()).map(drop)
    }

    async fn take(hand_over: &HandOver<&'static str>) -> usize {
        match hand_over.take(Box::default()).await {
            Taken::Batch(batch, _) => batch.event_count(),
            Taken::Ended(failure) => panic!("ended: {failure:?}"),
        }
    }

    #[tokio::test]
    async fn hands_over_all_that_arrived() {
        let hand_over = hand_over(10);
        push(&hand_over, 0).unwrap();
        push(&hand_over, 1).unwrap();
        assert_eq!(take(&hand_over).await, 2);
        push(&hand_over, 2).unwrap();
        assert_eq!(take(&hand_over).await, 1);
    }

    #[tokio::test]
    async fn a_full_batch_makes_the_consumer_wait() {
        let hand_over = hand_over(2);
        let consumer = hand_over.clone();
        let thread = std::thread::spawn(move || {
            for offset in 0..5 {
                push(&consumer, offset).unwrap();
            }
            consumer.end(None);
        });
        let mut sizes = Vec::new();
        while let Taken::Batch(batch, _) = hand_over.take(Box::default()).await {
            sizes.push(batch.event_count());
        }
        thread.join().unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), 5);
        assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
    }

    #[tokio::test]
    async fn what_was_read_is_taken_before_the_end_is_told() {
        let hand_over = hand_over(10);
        push(&hand_over, 0).unwrap();
        hand_over.stop();
        assert_eq!(push(&hand_over, 1), Err(Stopped));
        hand_over.end(Some("bad CRC"));
        assert_eq!(take(&hand_over).await, 1);
        let ended = hand_over.take(Box::default()).await;
        assert!(matches!(ended, Taken::Ended(Some("bad CRC"))));
    }

    #[tokio::test]
    async fn stopping_frees_a_consumer_that_waits_for_room() {
        let hand_over = hand_over(1);
        push(&hand_over, 0).unwrap();
        let consumer = hand_over.clone();
        let thread = std::thread::spawn(move || push(&consumer, 1));
        hand_over.stop();
        assert_eq!(thread.join().unwrap(), Err(Stopped));
    }

    #[tokio::test]
    async fn an_advance_without_records_is_a_batch() {
        let hand_over = hand_over(1);
        hand_over.advance_to(&Topic::from("t"), Partition(0), Offset(7));
        let Taken::Batch(batch, _) = hand_over.take(Box::default()).await else {
            panic!("ended");
        };
        assert_eq!(batch.positions()[0].next_offset, Offset(7));
    }
}
