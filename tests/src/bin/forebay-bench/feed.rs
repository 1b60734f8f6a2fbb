//! Produces events at a rate, on a thread of its own.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use forebay_tests::Delivery;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{preload::Preloader, stream::Stream};

/// How long the producer rests when nothing is due.
const REST: Duration = Duration::from_millis(1);

/// Events with the places that they get in a new topic, and when they were handed to the producer.
pub type Sent = Vec<(Delivery, Instant)>;

/// A thread that produces.
pub struct Feed {
    pub sent: UnboundedReceiver<Sent>,
    thread: JoinHandle<Result<()>>,
}

impl Feed {
    /// Starts to produce so many events of a stream, at so many per second, or as fast as the
    /// broker takes them.
    pub fn start(kafka: &str, topic: &str, stream: Stream, count: u64, rate: Option<f64>) -> Self {
        let (kafka, topic) = (kafka.to_owned(), topic.to_owned());
        let (sender, sent) = unbounded_channel();
        let thread = thread::spawn(move || produce(&kafka, &topic, stream, count, rate, &sender));
        Self { sent, thread }
    }

    /// Waits until all events are delivered.
    pub fn join(self) -> Result<()> {
        self.thread.join().map_err(|_| anyhow::anyhow!("the producer has panicked"))?
    }
}

fn produce(
    kafka: &str,
    topic: &str,
    stream: Stream,
    count: u64,
    rate: Option<f64>,
    sender: &UnboundedSender<Sent>,
) -> Result<()> {
    let preloader = Preloader::new(kafka, topic, &[("linger.ms", "1")])?;
    let mut offsets = vec![0; usize::try_from(stream.partitions())?];
    let mut events = stream.events(count).peekable();
    let start = Instant::now();
    let mut done = 0;
    while events.peek().is_some() {
        let due = rate.map(|rate| (start.elapsed().as_secs_f64() * rate) as u64 - done);
        let due = due.unwrap_or(1000).min(1000);
        let mut sent = Vec::with_capacity(usize::try_from(due)?);
        for (row, payload) in events.by_ref().take(usize::try_from(due)?) {
            let partition = row.sensor % stream.partitions();
            let offset = &mut offsets[usize::try_from(partition)?];
            sent.push((Delivery { partition, offset: *offset }, Instant::now()));
            *offset += 1;
            preloader.send(partition, &payload)?;
        }
        done += sent.len() as u64;
        // Nobody listens any more after an error there, which is then the one to tell.
        let _ = sender.send(sent);
        if due == 0 {
            thread::sleep(REST);
        }
    }
    preloader.flush()
}
