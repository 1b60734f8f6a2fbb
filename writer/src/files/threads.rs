//! Threads for calls to a file system, which may never come back: a bounded number of them.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::look::StoreError;

/// So many calls at a time, those included that nobody waits for any more.
#[derive(Debug, Clone)]
pub struct Threads {
    free: Arc<Semaphore>,
}

impl Threads {
    /// As many as this.
    pub fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)) }
    }

    /// Makes a call on a thread of its own, and waits for it no longer than that.
    ///
    /// # Errors
    /// If it does not come back in time, or too many before it have not.
    pub async fn run<T: Send + 'static>(
        &self,
        asked: impl Display,
        within: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            return Err(StoreError::new(
                asked,
                "the file system hangs: earlier calls do not return",
            ));
        };
        let called = tokio::task::spawn_blocking(move || {
            let done = call();
            drop(permit);
            done
        });
        match tokio::time::timeout(within, called).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(StoreError::new(asked, error)),
            Err(_) => Err(StoreError::no_answer(asked, within)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::Threads;

    #[tokio::test]
    async fn calls_that_hang_are_bounded() {
        let threads = Threads::new(2);
        let (resume, hang) = channel::<()>();
        let hang = std::sync::Arc::new(std::sync::Mutex::new(hang));
        for _ in 0..2 {
            let hang = hang.clone();
            let hung = threads.run("hang", Duration::from_millis(1), move || {
                hang.lock().map(|hang| hang.recv().is_ok()).ok()
            });
            assert_eq!(hung.await.unwrap_err().to_string(), "hang: no answer within 1ms");
        }
        let refused = threads.run("go on", Duration::from_secs(60), || ()).await;
        assert!(refused.unwrap_err().to_string().contains("hangs"));
        resume.send(()).unwrap();
        resume.send(()).unwrap();
        while threads.run("go on", Duration::from_secs(60), || ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
