//! The writer's memory while it works off a long backlog.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use forebay_tests::{Topic, Writer, WriterConfig, memory, stack::unique};
use serde::Serialize;
use tokio::time::interval;

use crate::{
    Surroundings, goal,
    plot::{Bar, Group, Plot},
    preload, report,
    stream::Stream,
    system::BATCH_ROWS,
};

/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

const TENTHS: usize = 10;

const MOST_MEMORY_MIB: f64 = 64.0;

#[derive(Debug, Serialize)]
struct Backlog {
    events: u64,
    seconds: f64,
    peak_rss_mib: f64,
    /// The most in each tenth of the events.
    rss_mib: Vec<f64>,
}

/// Fills a topic with so many events, and has one worker merge them.
pub async fn run(around: &Surroundings, events: u64) -> Result<()> {
    let (source, stream, kafka) = (unique("backlog"), Stream::Plain, around.kafka());
    let sql = around.database.primary();
    sql.batch_execute(&stream.table().create()).await?;
    sql.batch_execute("select forebay.add_target('sensor'); checkpoint").await?;
    let topic = Topic::create_with(&kafka, &source, stream.partitions(), &[]).await?;
    let (servers, to) = (kafka.clone(), source.clone());
    tokio::task::spawn_blocking(move || preload::stream(&servers, &to, stream, events)).await??;
    let config = WriterConfig::of(&kafka, &around.database, &source, &topic)
        .flat("public.sensor")
        .set("batch.max_rows", i64::try_from(BATCH_ROWS)?);
    println!("\nbacklog: {events} events");
    let mut writer = Writer::start_in(around.scratch.path(), config)?;
    let watched = watch(around, &mut writer, &source, events).await;
    let backlog = watched.with_context(|| writer.output().tail())?;
    let cells: String = backlog.rss_mib.iter().map(|mib| format!("{mib:>5.0}")).collect();
    println!("  MiB by tenths of the backlog:{cells}");
    let verdict = goal::verdict(backlog.peak_rss_mib <= MOST_MEMORY_MIB, "at most 64");
    println!(
        "backlog: {:.0} MiB at most, in {:.0} s{verdict}",
        backlog.peak_rss_mib, backlog.seconds
    );
    report::write("backlog", &backlog, &plot(&backlog).svg())
}

async fn watch(
    around: &Surroundings,
    writer: &mut Writer,
    source: &str,
    events: u64,
) -> Result<Backlog> {
    let start = std::time::Instant::now();
    let sql = "select coalesce(sum(next_offset), 0)::int8 from forebay.progress where source = $1";
    let database = around.database.primary();
    let progress = database.prepare(sql).await?;
    let mut rss_mib = vec![0.0; TENTHS];
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
        rss_mib[tenth] = memory::resident_mib(writer.id())?.max(rss_mib[tenth]);
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Backlog { events, seconds, peak_rss_mib: memory::peak_mib(writer.id())?, rss_mib })
}

fn plot(backlog: &Backlog) -> Plot {
    let groups = backlog.rss_mib.iter().enumerate().map(|(tenth, mib)| Group {
        label: format!("{} to {} %", tenth * 100 / TENTHS, (tenth + 1) * 100 / TENTHS),
        bars: vec![Bar { value: *mib, note: String::new() }],
    });
    Plot {
        title: "backlog: memory of the writer".to_owned(),
        subtitle: format!("resident set, by the merged share of {} events", backlog.events),
        unit: "MiB".to_owned(),
        series: vec![String::new()],
        groups: groups.collect(),
    }
}
