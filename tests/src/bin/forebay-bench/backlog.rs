//! The writer's memory while it works off a long backlog.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use forebay_tests::{Database, Writer, memory};
use serde::{Deserialize, Serialize};
use tokio::time::interval;

use crate::{
    Bench, goal,
    plot::{Bar, Group, Plot, number},
    preload, report,
    row::MAX_ROWS,
    scenario::{Known, Scenario, rows_per_commit},
    stream::Stream,
    system::{Assignment, explained},
};

/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

const TENTHS: usize = 10;

/// A file of the kind `backlog`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(rename = "kind")]
    _kind: Known,
    description: String,
    events: u64,
    /// Of the writer, in MiB.
    most_mib: f64,
    #[serde(default = "rows_per_commit")]
    rows_per_commit: u64,
    pub stream: Stream,
    /// More of the writer's configuration.
    #[serde(default)]
    writer: toml::Table,
}

impl Settings {
    pub fn check(&self) -> Result<()> {
        let range = 1..=MAX_ROWS;
        ensure!(range.contains(&self.events), "events: not in {range:?}");
        ensure!(self.rows_per_commit > 0, "rows_per_commit is 0");
        ensure!(self.stream.is_plain(), "stream: a backlog has each key once, and no bad event");
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct Backlog {
    events: u64,
    seconds: f64,
    peak_rss_mib: f64,
    /// The most in each tenth of the events, if it was looked at meanwhile.
    rss_mib: Vec<Option<f64>>,
}

/// Fills a topic, and has one worker merge all of it.
pub async fn run(bench: &Bench<'_>, scenario: &Scenario, settings: &Settings) -> Result<()> {
    let events = bench.arguments.backlog.unwrap_or(settings.events);
    let (servers, name, stream) = (bench.servers, &scenario.name, &settings.stream);
    let database = servers.database(None).await?;
    database.primary().batch_execute(&stream.table.create).await?;
    let target = format!("select forebay.add_target('{}'); checkpoint", stream.table.name);
    database.primary().batch_execute(&target).await?;
    let topic = preload::topic(servers, stream, events).await?;
    let assignment = Assignment {
        servers,
        database: &database,
        topic: &topic,
        workers: 1,
        settings: &settings.writer,
    };
    let batch = i64::try_from(settings.rows_per_commit)?;
    let table = format!("public.{}", stream.table.name);
    let (config, source) =
        assignment.config(|config| config.flat(&table).set("batch.max_rows", batch));
    println!("\n{name}: {}, {events} events", settings.description);
    let mut writer = Writer::start_in(servers.directory(), config)?;
    let watched = watch(&database, &mut writer, &source, events).await;
    let backlog = explained(watched, &mut writer).await?;
    let cell = |mib: &Option<f64>| mib.map_or("    –".to_owned(), |mib| format!("{mib:>5.0}"));
    let cells: String = backlog.rss_mib.iter().map(cell).collect();
    println!("  MiB by tenths of the backlog:{cells}");
    let (peak, most) = (backlog.peak_rss_mib, settings.most_mib);
    let verdict = goal::verdict(peak <= most, &format!("at most {most}"));
    println!("{name}: {peak:.0} MiB at most, in {:.0} s{verdict}", backlog.seconds);
    let plot = plot(name, &backlog);
    report::write(bench, scenario, &settings.description, &backlog, plot)?;
    drop(writer);
    servers.drop_database(database).await?;
    servers.delete_topic(&topic).await
}

async fn watch(
    database: &Database,
    writer: &mut Writer,
    source: &str,
    events: u64,
) -> Result<Backlog> {
    let start = std::time::Instant::now();
    let sql = "select coalesce(sum(next_offset), 0)::int8 from forebay.progress where source = $1";
    let database = database.primary();
    let progress = database.prepare(sql).await?;
    let mut rss_mib = vec![None; TENTHS];
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        if let Some(status) = writer.exit_status()? {
            bail!("the writer has ended: {status}");
        }
        let merged: i64 = database.query_one(&progress, &[&source]).await?.get(0);
        let merged = u64::try_from(merged)?;
        if merged == events {
            break;
        }
        let tenth = usize::try_from(merged * TENTHS as u64 / events)?;
        let mib = memory::resident_mib(writer.id())?;
        rss_mib[tenth] = Some(rss_mib[tenth].map_or(mib, |most: f64| most.max(mib)));
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Backlog { events, seconds, peak_rss_mib: memory::peak_mib(writer.id())?, rss_mib })
}

fn plot(name: &str, backlog: &Backlog) -> Plot {
    let group = |(tenth, mib): (usize, &Option<f64>)| Group {
        label: format!("{} to {} %", tenth * 100 / TENTHS, (tenth + 1) * 100 / TENTHS),
        bars: mib.iter().map(|&value| Bar { value, note: String::new() }).collect(),
    };
    let groups = backlog.rss_mib.iter().enumerate().map(group);
    let groups = groups.filter(|group| !group.bars.is_empty());
    Plot {
        title: format!("{name}: memory of the writer"),
        subtitle: format!(
            "resident set, by the merged share of {} events",
            number(backlog.events as f64)
        ),
        unit: "MiB".to_owned(),
        series: vec![String::new()],
        groups: groups.collect(),
        command: String::new(),
    }
}
