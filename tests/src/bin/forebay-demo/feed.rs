//! Produces the events, and watches them arrive.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use forebay_tests::{
    Database, Delivery, Message, Producer, Stack, Topic, latency::Latencies, wait,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use crate::{SOURCE, view::View};

/// How often the servers are looked at: the resolution of the latencies.
const LOOK: Duration = Duration::from_millis(2);

/// How often a line is printed.
const LINE: Duration = Duration::from_millis(500);

/// What was seen.
pub struct Run {
    /// Events that were produced after the bootstrap event.
    pub events: usize,
    /// From the first of them until the last was visible.
    pub elapsed: Duration,
    /// From produce to visible on the replica, in ascending order.
    pub latencies: Vec<Duration>,
}

/// Produces the bootstrap event, waits for it, then produces the others at `rate` per second,
/// until all are visible on the replica.
pub async fn run(
    stack: &Stack,
    database: &Database,
    topic: &Topic,
    events: &[Vec<u8>],
    rate: u32,
) -> Result<Run> {
    let producer = Producer::new(stack.kafka())?;
    let (bootstrap, others) = events.split_first().context("no events")?;
    println!("Producing the bootstrap event: instrument, detectors, filters.");
    let start = Instant::now();
    let sent = producer.send(topic, 0, None, Some(bootstrap)).await?;
    database.wait_until_merged(SOURCE, topic, sent).await?;
    database.wait_until_replayed().await?;
    println!("  on the replica after {} ms\n", start.elapsed().as_millis());

    println!("Producing {} events, {rate} per second.\n", others.len());
    let (deliveries, reports) = mpsc::unbounded_channel();
    let feeding = feed(&producer, topic, others, rate, deliveries);
    let watching = watch(database, topic, others.len(), reports);
    let ((), run) = tokio::try_join!(feeding, watching)?;
    Ok(run)
}

/// Where an event went, and when it was handed to the producer.
type Report = (Delivery, Instant);

async fn feed(
    producer: &Producer,
    topic: &Topic,
    events: &[Vec<u8>],
    rate: u32,
    deliveries: mpsc::UnboundedSender<Report>,
) -> Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    // What the machine was too slow for is not hurried after.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for (partition, event) in (0..topic.partitions()).cycle().zip(events) {
        ticks.tick().await;
        let message = Message { partition, payload: Some(event), ..Message::default() };
        let at = Instant::now();
        let delivery = producer.send_message(topic, message).await?;
        deliveries.send((delivery, at)).context("nobody watches")?;
    }
    Ok(())
}

async fn watch(
    database: &Database,
    topic: &Topic,
    total: usize,
    mut reports: mpsc::UnboundedReceiver<Report>,
) -> Result<Run> {
    let partitions = usize::try_from(topic.partitions())?;
    let primary = View::open(database.primary_endpoint(), database.name()).await?;
    let replica = database.replica_endpoint().context("no replica")?;
    let replica = View::open(replica, database.name()).await?;
    // The bootstrap event is not counted.
    let bootstrap = primary.next_offsets(partitions).await?.iter().sum::<i64>();

    let mut latencies = Latencies::new(partitions);
    let (mut sent, mut printed) = (0_usize, (0_usize, Instant::now()));
    let (start, mut advanced) = (Instant::now(), Instant::now());
    let mut looks = interval(LOOK);
    println!("    time   events in      merged     visible    lag   events/s");
    loop {
        looks.tick().await;
        let visible = replica.next_offsets(partitions).await?;
        let now = Instant::now();
        while let Ok((delivery, at)) = reports.try_recv() {
            latencies.sent(delivery, at);
            sent += 1;
        }
        let before = latencies.arrived();
        latencies.seen(&visible, now);
        let arrived = latencies.arrived();
        if arrived > before {
            advanced = now;
        }
        let since = now.duration_since(printed.1);
        if since >= LINE || arrived == total {
            let merged = primary.next_offsets(partitions).await?.iter().sum::<i64>() - bootstrap;
            let rate = (arrived - printed.0) as f64 / since.as_secs_f64();
            println!(
                "{:6.1} s {sent:11} {merged:11} {arrived:11} {:6} {rate:10.0}",
                start.elapsed().as_secs_f64(),
                sent - arrived,
            );
            printed = (arrived, now);
        }
        if arrived == total {
            println!();
            let latencies = latencies.sorted();
            return Ok(Run { events: total, elapsed: start.elapsed(), latencies });
        }
        if advanced.elapsed() > wait::LIMIT {
            bail!("nothing became visible for {} s", wait::LIMIT.as_secs());
        }
    }
}
