//! Produces events at a rate, on a thread of its own.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use forebay_tests::Delivery;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    preload::Preloader,
    producing::{Producing, Stop},
    stream::Stream,
};

/// How long the producer rests when nothing is due.
const REST: Duration = Duration::from_millis(1);

/// Events with the places that they get in a new topic, and when they were handed to the producer.
pub type Sent = Vec<(Delivery, Instant)>;

/// A thread that produces.
pub struct Feed {
    pub sent: UnboundedReceiver<Sent>,
    producing: Producing,
}

impl Feed {
    /// Starts to produce so many events of a stream, at so many per second, or as fast as the
    /// broker takes them.
    pub fn start(kafka: &str, topic: &str, stream: &Stream, count: u64, rate: Option<f64>) -> Self {
        let (kafka, topic, stream) = (kafka.to_owned(), topic.to_owned(), stream.clone());
        let (sender, sent) = unbounded_channel();
        let producing = Producing::start(move |stop| {
            let preloader = preloader(&kafka, &topic, &stream, stop)?;
            produce(&preloader, &stream, count, rate, &sender)
        });
        Self { sent, producing }
    }

    /// Waits until all events are delivered.
    pub async fn finish(self) -> Result<()> {
        self.producing.finish().await
    }
}

fn preloader<'a>(
    kafka: &str,
    topic: &'a str,
    stream: &Stream,
    stop: &'a Stop,
) -> Result<Preloader<'a>> {
    let settings = [("linger.ms", "1"), ("compression.type", stream.compression.name())];
    Preloader::new(kafka, topic, &settings, stop)
}

fn produce(
    preloader: &Preloader<'_>,
    stream: &Stream,
    count: u64,
    rate: Option<f64>,
    sender: &UnboundedSender<Sent>,
) -> Result<()> {
    let mut offsets = vec![0; usize::try_from(stream.partitions)?];
    let mut events = stream.events(count).peekable();
    let start = Instant::now();
    let mut done = 0;
    while events.peek().is_some() {
        let due = rate.map(|rate| (start.elapsed().as_secs_f64() * rate) as u64 - done);
        let due = due.unwrap_or(1000).min(1000);
        let mut sent = Vec::with_capacity(usize::try_from(due)?);
        for (row, payload) in events.by_ref().take(usize::try_from(due)?) {
            let partition = stream.partition(row);
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
