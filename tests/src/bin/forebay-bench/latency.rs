//! The time from producing an event until a reader of the replica sees it.
//!
//! The clock of an event starts right before it is handed to the producer, which waits for a
//! millisecond for others to send it with. It ends when a reader, who looks at the replica's
//! progress every millisecond, has the answer that the event's offset is passed. Broker, primary,
//! replica, writer, producer and reader share the machine. First, the capacity of all of them
//! together is measured: events produced as fast as the broker takes them, until the last is
//! visible on the replica. At each load, the first seconds don't count, in which producer and
//! writer make their connections.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Postgres, Topic, Writer, WriterConfig,
    latency::{Latencies, percentile},
    stack::unique,
    wait,
};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::Client;

use crate::{
    SETTINGS, Surroundings,
    feed::Feed,
    goal,
    plot::{Bar, Group, Plot},
    report,
    stream::Stream,
    system::BATCH_ROWS,
};

/// How often the reader looks.
const LOOK: Duration = Duration::from_millis(1);

/// How long each load lasts before it counts.
const WARM_UP: u32 = 5;

/// Shares of the capacity.
const LOADS: &[f64] = &[0.1, 0.5, 0.9];

const PERCENTILES: &[(&str, f64)] = &[("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Milliseconds at the least load.
const MOST_P50: f64 = 15.0;
const MOST_P99: f64 = 60.0;

/// The latencies at one load, in milliseconds.
#[derive(Debug, Serialize)]
struct Load {
    /// Of the capacity.
    share: f64,
    events: usize,
    events_per_second: f64,
    milliseconds: Vec<(&'static str, f64)>,
}

impl Load {
    fn percentile(&self, name: &str) -> f64 {
        let found = self.milliseconds.iter().find(|(other, _)| *other == name);
        found.map_or(f64::NAN, |(_, milliseconds)| *milliseconds)
    }
}

/// What the latencies are measured with.
struct Bench<'a> {
    around: &'a Surroundings,
    database: Database,
}

/// Measures the capacity with so many events, and then the latencies for so many seconds each.
pub async fn run(around: &Surroundings, events: u64, seconds: u32) -> Result<()> {
    let primary = around.primary.endpoint();
    let scratch = around.scratch.path();
    let mut replica = Postgres::replica(scratch, "replica", primary, SETTINGS).await?;
    let database = Database::create_on(primary, Some(replica.endpoint()), "latency").await?;
    let bench = Bench { around, database };
    let (capacity, _) = bench.measure(events, 0, None).await?;
    println!("\nlatency: from produce to visible on the replica, in milliseconds");
    println!("  capacity: {capacity:.0} events/s of {events} events");
    println!(
        "  load  events/s{}",
        PERCENTILES.iter().map(|(name, _)| format!("{name:>9}")).collect::<String>()
    );
    let mut loads = Vec::new();
    for share in LOADS {
        let rate = capacity * share;
        let events = (rate * f64::from(WARM_UP + seconds)) as u64;
        let warm_up = (rate * f64::from(WARM_UP)) as u64;
        let (events_per_second, latencies) = bench.measure(events, warm_up, Some(rate)).await?;
        let milliseconds = PERCENTILES
            .iter()
            .map(|(name, share)| (*name, percentile(&latencies, *share).as_secs_f64() * 1000.0));
        let milliseconds = milliseconds.collect();
        let events = latencies.len();
        let load = Load { share: *share, events, events_per_second, milliseconds };
        print(&load);
        loads.push(load);
    }
    if let Some(least) = loads.first() {
        for (name, most) in [("p50", MOST_P50), ("p99", MOST_P99)] {
            let verdict = goal::verdict(least.percentile(name) <= most, &format!("at most {most}"));
            println!("latency: {name} at 10 % is {:.1} ms{verdict}", least.percentile(name));
        }
    }
    report::write("latency", &loads, &plot(&loads, capacity).svg())?;
    replica.stop().await?;
    drop_slot(bench.database.primary()).await
}

/// The slot of a replica that is gone would keep all WAL of what is measured next.
async fn drop_slot(primary: &Client) -> Result<()> {
    let sql = "select pg_drop_replication_slot(slot_name) from pg_replication_slots \
               where slot_name = 'replica' and not active";
    wait::until("the end of the replica's slot", || async move {
        Ok((primary.execute(sql, &[]).await? == 1).then_some(()))
    })
    .await
}

impl Bench<'_> {
    /// Events per second until the last is visible, and the latencies in ascending order, without
    /// those of the first `warm_up` events. Without a rate, as fast as it goes.
    async fn measure(
        &self,
        events: u64,
        warm_up: u64,
        rate: Option<f64>,
    ) -> Result<(f64, Vec<Duration>)> {
        let (source, stream, database) = (unique("latency"), Stream::Plain, &self.database);
        let sql = database.primary();
        sql.batch_execute(&stream.table().create()).await?;
        sql.batch_execute("select forebay.add_target('sensor'); checkpoint").await?;
        let kafka = self.around.kafka();
        let topic = Topic::create_with(&kafka, &source, stream.partitions(), &[]).await?;
        let config = WriterConfig::of(&kafka, database, &source, &topic)
            .flat("public.sensor")
            .set("batch.max_rows", i64::try_from(BATCH_ROWS)?);
        let replica = database.connect_replica().await?;
        let mut writer = Writer::start_in(self.around.scratch.path(), config)?;
        writer.wait_until_ready().await?;
        let start = Instant::now();
        let mut feed = Feed::start(&kafka, topic.name(), stream, events, rate);
        let watched =
            watch(&replica, &source, &mut feed, warm_up..events, stream.partitions()).await;
        let latencies = watched.with_context(|| writer.output().tail())?;
        let events_per_second = events as f64 / start.elapsed().as_secs_f64();
        feed.join()?;
        writer.stop().await?;
        Ok((events_per_second, latencies.sorted()))
    }
}

/// Looks at the replica until all of these events are visible there.
async fn watch(
    replica: &Client,
    source: &str,
    feed: &mut Feed,
    events: Range<u64>,
    partitions: i32,
) -> Result<Latencies> {
    let sql = "select partition, next_offset from forebay.progress where source = $1";
    let progress = replica.prepare(sql).await?;
    let mut offsets = vec![0; usize::try_from(partitions)?];
    let mut latencies = Latencies::new(offsets.len());
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut advanced) = (0, Instant::now());
    let mut numbers = 0..;
    while (latencies.arrived() as u64) < events.end - events.start {
        looks.tick().await;
        for row in replica.query(&progress, &[&source]).await? {
            offsets[usize::try_from(row.get::<_, i32>(0))?] = row.get(1);
        }
        let now = Instant::now();
        while let Ok(sent) = feed.sent.try_recv() {
            for ((delivery, at), number) in sent.into_iter().zip(numbers.by_ref()) {
                if events.contains(&number) {
                    latencies.sent(delivery, at);
                }
            }
        }
        latencies.seen(&offsets, now);
        let visible = offsets.iter().sum::<i64>();
        if visible > seen {
            (seen, advanced) = (visible, now);
        }
        ensure!(advanced.elapsed() < wait::LIMIT, "nothing becomes visible any more");
    }
    Ok(latencies)
}

fn print(load: &Load) {
    let cells: String =
        load.milliseconds.iter().map(|(_, milliseconds)| format!("{milliseconds:>9.1}")).collect();
    println!("  {:>3.0} % {:>9.0}{cells}", load.share * 100.0, load.events_per_second);
}

fn plot(loads: &[Load], capacity: f64) -> Plot {
    let groups = loads.iter().map(|load| Group {
        label: format!("{:.0} % load", load.share * 100.0),
        bars: load
            .milliseconds
            .iter()
            .map(|(name, milliseconds)| Bar { value: *milliseconds, note: (*name).to_owned() })
            .collect(),
    });
    Plot {
        title: "latency from produce to visible on the replica".to_owned(),
        subtitle: format!("by load; 100 % are {capacity:.0} events/s"),
        unit: "ms".to_owned(),
        series: PERCENTILES.iter().map(|(name, _)| (*name).to_owned()).collect(),
        groups: groups.collect(),
    }
}
