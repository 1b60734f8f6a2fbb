//! The time from producing an event until a reader of the replica sees it.
//!
//! The clock of an event starts right before it is handed to the producer, which waits for a
//! millisecond for others to send it with. It ends when a reader, who looks at the replica's
//! progress every millisecond, has the answer that the event's offset is passed. First, the capacity of all of them
//! together is measured: events produced as fast as the broker takes them, until the last is
//! visible on the replica. At each load, the first seconds don't count, in which producer and
//! writer make their connections.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Topic, Writer,
    latency::{Latencies, percentile},
    wait,
};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::Client;

use crate::{
    Bench,
    feed::Feed,
    goal,
    plot::{Bar, Group, Plot, number},
    report,
    scenario::{Known, Scenario, rows_per_commit},
    servers::Replica,
    stream::Stream,
    system::{Assignment, explained},
};

/// How often the reader looks.
const LOOK: Duration = Duration::from_millis(1);

/// Of all latencies, in percent.
const PERCENTILES: &[f64] = &[50.0, 90.0, 99.0, 99.9];

/// A file of the kind `latency`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(rename = "kind")]
    _kind: Known,
    description: String,
    /// Shares of the capacity.
    loads: Vec<f64>,
    /// How long each lasts before it counts.
    warm_up_seconds: u32,
    /// How long it counts.
    seconds: u32,
    #[serde(default = "rows_per_commit")]
    rows_per_commit: u64,
    pub stream: Stream,
    /// More of the writer's configuration.
    #[serde(default)]
    writer: toml::Table,
    #[serde(default)]
    goals: Vec<Goal>,
}

/// A bound of a percentile at a load.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Goal {
    load: f64,
    percentile: f64,
    at_most_ms: f64,
}

impl Settings {
    pub fn check(&self) -> Result<()> {
        let is_share = |load: &f64| (0.0..=1.0).contains(load) && *load > 0.0;
        ensure!(!self.loads.is_empty() && self.loads.iter().all(is_share), "loads: shares up to 1");
        ensure!(self.seconds > 0, "seconds is 0");
        ensure!(self.rows_per_commit > 0, "rows_per_commit is 0");
        for Goal { load, percentile, .. } in &self.goals {
            ensure!(self.loads.contains(load), "goals: {load} is none of the loads");
            let known = PERCENTILES.contains(percentile);
            ensure!(known, "goals: {percentile} is none of the percentiles {PERCENTILES:?}");
        }
        Ok(())
    }
}

/// The latencies at one load.
#[derive(Debug, Serialize)]
struct Load {
    /// Of the capacity.
    share: f64,
    events: usize,
    events_per_second: f64,
    percentiles: Vec<Percentile>,
}

#[derive(Debug, Serialize)]
struct Percentile {
    percentile: f64,
    milliseconds: f64,
}

#[derive(Serialize)]
struct Figures<'a> {
    capacity_events_per_second: f64,
    loads: &'a [Load],
}

/// What the latencies are measured with.
struct Run<'a> {
    bench: &'a Bench<'a>,
    settings: &'a Settings,
    replica: &'a Replica,
}

/// Measures the capacity, and then the latencies at each load.
pub async fn run(bench: &Bench<'_>, scenario: &Scenario, settings: &Settings) -> Result<()> {
    let (name, events) = (&scenario.name, bench.arguments.rows);
    let replica = bench.servers.replica().await?;
    let run = Run { bench, settings, replica: &replica };
    let (capacity, _) = run.measure(events, 0, None).await?;
    println!("\n{name}: {}, in milliseconds", settings.description);
    println!("  capacity: {capacity:.0} events/s of {events} events");
    let names: String = PERCENTILES.iter().map(|one| format!("{:>9}", format!("p{one}"))).collect();
    println!("  load  events/s{names}");
    let mut loads = Vec::new();
    for &share in &settings.loads {
        let load = run.load(share, capacity * share).await;
        let load = load.with_context(|| format!("load {share}"))?;
        print(&load);
        loads.push(load);
    }
    for goal in &settings.goals {
        judge(name, goal, &loads);
    }
    let figures = Figures { capacity_events_per_second: capacity, loads: &loads };
    report::write(bench, scenario, &settings.description, figures, plot(name, &loads, capacity))?;
    bench.servers.end_replica(replica).await
}

fn judge(name: &str, goal: &Goal, loads: &[Load]) {
    let Goal { load, percentile, at_most_ms } = goal;
    let found = loads.iter().filter(|one| one.share == *load).flat_map(|one| &one.percentiles);
    for Percentile { milliseconds, .. } in found.filter(|one| one.percentile == *percentile) {
        let verdict = goal::verdict(milliseconds <= at_most_ms, &format!("at most {at_most_ms}"));
        let percent = load * 100.0;
        println!("{name}: p{percentile} at {percent:.0} % is {milliseconds:.1} ms{verdict}");
    }
}

impl Run<'_> {
    async fn load(&self, share: f64, rate: f64) -> Result<Load> {
        let warm_up = f64::from(self.settings.warm_up_seconds);
        let events = (rate * (warm_up + f64::from(self.settings.seconds))) as u64;
        let warm_up = (rate * warm_up) as u64;
        let (events_per_second, latencies) = self.measure(events, warm_up, Some(rate)).await?;
        let percentiles = PERCENTILES.iter().map(|&percent| {
            let milliseconds = percentile(&latencies, percent / 100.0).as_secs_f64() * 1000.0;
            Percentile { percentile: percent, milliseconds }
        });
        let percentiles = percentiles.collect();
        Ok(Load { share, events: latencies.len(), events_per_second, percentiles })
    }

    /// Events per second until the last is visible, and the latencies in ascending order, without
    /// those of the first `warm_up` events. Without a rate, as fast as it goes.
    async fn measure(
        &self,
        events: u64,
        warm_up: u64,
        rate: Option<f64>,
    ) -> Result<(f64, Vec<Duration>)> {
        let (servers, stream) = (self.bench.servers, &self.settings.stream);
        let database = servers.database(Some(&self.replica.endpoint)).await?;
        let sql = database.primary();
        sql.batch_execute(&stream.table.create).await?;
        let target = format!("select forebay.add_target('{}'); checkpoint", stream.table.name);
        sql.batch_execute(&target).await?;
        let topic = servers.topic(stream.partitions).await?;
        let replica = database.connect_replica().await?;
        let (source, mut writer) = self.start_writer(&database, &topic)?;
        writer.wait_until_ready().await?;
        let start = Instant::now();
        let mut feed = Feed::start(servers.kafka(), topic.name(), stream, events, rate);
        let watched = watch(&replica, &source, &mut feed, warm_up..events, stream.partitions).await;
        let latencies = explained(watched, &mut writer).await?;
        let events_per_second = events as f64 / start.elapsed().as_secs_f64();
        feed.finish().await?;
        writer.stop().await?;
        drop(replica);
        servers.drop_database(database).await?;
        servers.delete_topic(&topic).await?;
        Ok((events_per_second, latencies.sorted()))
    }

    /// A writer, and the name of its source.
    fn start_writer(&self, database: &Database, topic: &Topic) -> Result<(String, Writer)> {
        let (servers, settings) = (self.bench.servers, &self.settings.writer);
        let assignment = Assignment { servers, database, topic, workers: 1, settings };
        let batch = i64::try_from(self.settings.rows_per_commit)?;
        let table = format!("public.{}", self.settings.stream.table.name);
        let (config, source) =
            assignment.config(|config| config.flat(&table).set("batch.max_rows", batch));
        Ok((source, Writer::start_in(servers.directory(), config)?))
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
    let cells = load.percentiles.iter().map(|one| format!("{:>9.1}", one.milliseconds));
    let cells: String = cells.collect();
    println!("  {:>3.0} % {:>9.0}{cells}", load.share * 100.0, load.events_per_second);
}

fn plot(name: &str, loads: &[Load], capacity: f64) -> Plot {
    let bar = |one: &Percentile| Bar { value: one.milliseconds, note: String::new() };
    let groups = loads.iter().map(|load| Group {
        label: format!("{:.0} % load", load.share * 100.0),
        bars: load.percentiles.iter().map(bar).collect(),
    });
    Plot {
        title: format!("{name}: from produce to visible on the replica"),
        subtitle: format!("by load; 100 % are {} events/s", number(capacity.round())),
        unit: "ms".to_owned(),
        series: PERCENTILES.iter().map(|one| format!("p{one}")).collect(),
        groups: groups.collect(),
        command: String::new(),
    }
}
