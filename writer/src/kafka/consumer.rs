//! A consumer whose end is not waited for without bounds.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;
use tracing::warn;

use super::Reporter;

/// How long a consumer may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// A consumer that reports to the writer's metrics and health. It is never subscribed; it reads
/// what it is assigned.
///
/// Dropping it blocks for 3 s at most, if the system has a thread for it. librdkafka can lock itself
/// up when a consumer ends while the broker answers that an offset is out of range
/// ([4514](https://github.com/confluentinc/librdkafka/issues/4514), in 2.12 still), which it does
/// soon after a damaged batch. Such a consumer is left behind, with its threads.
pub struct KafkaConsumer {
    client: Arc<BaseConsumer<Reporter>>,
    /// Behind the other one: fields are dropped in this order.
    _last: LastReference<BaseConsumer<Reporter>>,
}

impl KafkaConsumer {
    /// A consumer with these settings.
    ///
    /// # Errors
    /// If librdkafka refuses a setting, or has no resources.
    pub(super) fn new(settings: &ClientConfig, reporter: Reporter) -> KafkaResult<Self> {
        let client = Arc::new(BaseConsumer::from_config_and_context(settings, reporter)?);
        Ok(Self { _last: LastReference(Some(client.clone())), client })
    }
}

impl Deref for KafkaConsumer {
    type Target = BaseConsumer<Reporter>;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

/// Ends what it refers to, on a thread of its own.
struct LastReference<T: Send + Sync + 'static>(Option<Arc<T>>);

impl<T: Send + Sync + 'static> Drop for LastReference<T> {
    fn drop(&mut self) {
        if !ends_within(PATIENCE, self.0.take()) {
            warn!(
                "a Kafka consumer did not end within {} s, and is left behind: a fault of \
                 librdkafka's (its issue 4514), or a broker that can't be reached",
                PATIENCE.as_secs(),
            );
        }
    }
}

/// Drops a value on a thread of its own, and answers whether that was done in time.
fn ends_within<T: Send + 'static>(limit: Duration, value: T) -> bool {
    let (ended, wait) = mpsc::channel::<()>();
    let end = move || {
        drop(value);
        drop(ended);
    };
    // Without a thread, the value is dropped here and now.
    let _ = thread::Builder::new().name("end-consumer".to_owned()).spawn(end);
    matches!(wait.recv_timeout(limit), Err(RecvTimeoutError::Disconnected))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};
    use std::time::Duration;

    use super::ends_within;

    /// Ends when it is told to.
    struct Slow(Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    #[test]
    fn what_does_not_end_is_left_behind() {
        let (may_end, wait) = mpsc::channel();
        assert!(!ends_within(Duration::from_millis(1), Slow(wait)));
        drop(may_end);
    }

    #[test]
    fn waits_for_the_end() {
        let (ended, wait) = mpsc::channel();
        let (may_end, told) = mpsc::channel();
        may_end.send(()).unwrap();
        assert!(ends_within(Duration::from_secs(60), (Slow(told), ended)));
        let ended: Result<(), _> = wait.try_recv();
        assert_eq!(ended, Err(mpsc::TryRecvError::Disconnected));
    }
}
