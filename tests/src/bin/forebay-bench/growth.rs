//! The same batch of new rows into ever larger tables: what a row costs, by binary COPY and by
//! Forebay.
//!
//! The rows that are there before come in the order of time, as they would in a table of readings,
//! and get their key afterwards, which is faster. The batch's keys are spread over all of them.

use anyhow::{Result, ensure};
use forebay_tests::{Topic, WriterConfig, endpoint::SUPERUSER, stack::unique};
use serde::Serialize;

use crate::{
    Surroundings, goal,
    meter::{Meter, Work},
    plot::{Bar, Group, Plot},
    preload, report,
    results::Measurement,
    row::{self, Row, mix},
    stream::Stream,
    system::{BATCH_ROWS, Client, System},
    table::Table,
};

const SYSTEMS: &[System] = &[System::Copy, System::Forebay1];

/// Of the growth of COPY's cost.
const MOST_GROWTH: f64 = 1.2;

/// What a system did to a table of one size.
#[derive(Debug, Serialize)]
struct Step {
    rows_before: u64,
    #[serde(flatten)]
    measurement: Measurement,
}

impl Step {
    fn microseconds_per_row(&self) -> f64 {
        1e6 / self.measurement.rows_per_second
    }
}

/// The rows of a table of about this size, in the order of time.
pub fn rows_before(size: u64, batch: u64) -> impl Iterator<Item = Row> {
    let stride = stride(size, batch);
    (0..batch * stride).filter(move |n| *n != chosen(n / stride, stride)).map(row::row)
}

/// The rows of the batch, in random order: one of each so many.
pub fn batch(size: u64, batch: u64) -> impl Iterator<Item = Row> {
    let stride = stride(size, batch);
    row::numbers(batch).map(move |block| row::row(chosen(block, stride)))
}

fn stride(size: u64, batch: u64) -> u64 {
    size.div_ceil(batch) + 1
}

/// The row of the batch among so many neighbours.
fn chosen(block: u64, stride: u64) -> u64 {
    block * stride + mix(block) % stride
}

/// Measures batches of so many rows into tables of each size.
pub async fn run(around: &Surroundings, sizes: &[u64], rows: u64) -> Result<()> {
    println!("\ngrowth: {rows} new rows into a table that has some already");
    println!("  system        rows before  seconds  µs/row");
    let mut steps = Vec::new();
    for &size in sizes {
        ensure!(
            rows * stride(size, rows) <= row::MAX_ROWS,
            "a table can have {} rows at most",
            row::MAX_ROWS
        );
        for &system in SYSTEMS {
            let step = measure(around, system, size, rows).await?;
            print(&step);
            steps.push(step);
        }
    }
    let growth = |system: System| {
        let name = system.name();
        let mut costs = steps
            .iter()
            .filter(|step| step.measurement.system == name)
            .map(Step::microseconds_per_row);
        let first = costs.next()?;
        Some(costs.next_back()? / first)
    };
    if let Some((copy, forebay)) = growth(System::Copy).zip(growth(System::Forebay1)) {
        let share = forebay / copy;
        let verdict = goal::verdict(share <= MOST_GROWTH, "at most 1.2");
        println!("growth: copy costs {copy:.2} times as much in the end as in the beginning");
        println!("growth: forebay-1 {forebay:.2} times, which is {share:.2} of that{verdict}");
    }
    report::write("growth", &steps, &plot(&steps, sizes, rows).svg())
}

async fn measure(around: &Surroundings, system: System, size: u64, rows: u64) -> Result<Step> {
    let database = &around.database;
    let sql = database.primary();
    let dsn = database.primary_endpoint().dsn(database.name(), SUPERUSER);
    let (size_before, batch) = (size.to_string(), rows.to_string());
    sql.batch_execute(&Table::Plain.create()).await?;
    sql.batch_execute("alter table sensor drop constraint sensor_pkey").await?;
    drop(Client::own(&["growth-load", &dsn, &size_before, &batch]).await?);
    sql.batch_execute("alter table sensor add primary key (sensor, ts)").await?;
    sql.batch_execute("vacuum analyze sensor").await?;
    let rows_before: i64 = sql.query_one("select count(*) from sensor", &[]).await?.get(0);
    let (source, topic) = filled_topic(around, size, rows).await?;
    if system == System::Forebay1 {
        sql.batch_execute("select forebay.add_target('sensor')").await?;
    }
    let meter = Meter::start(database, around.postmaster).await?;
    let client = if system == System::Forebay1 {
        let config = WriterConfig::of(&around.kafka(), database, &source, &topic)
            .flat("public.sensor")
            .set("batch.max_rows", i64::try_from(BATCH_ROWS)?);
        Client::forebay(around.scratch.path(), config, database, &source, rows).await?
    } else {
        Client::own(&["growth-copy", &dsn, &size_before, &batch]).await?
    };
    let measurement = meter.stop(system, Work { events: rows, rows }, client).await?;
    let after: i64 = sql.query_one("select count(*) from sensor", &[]).await?.get(0);
    let added = u64::try_from(after - rows_before)?;
    ensure!(added == rows, "{added} rows were added, and not {rows}");
    Ok(Step { rows_before: u64::try_from(rows_before)?, measurement })
}

/// A topic with the batch, and the name of a source for it.
async fn filled_topic(around: &Surroundings, size: u64, rows: u64) -> Result<(String, Topic)> {
    let (source, kafka) = (unique("growth"), around.kafka());
    let partitions = Stream::Plain.partitions();
    let topic = Topic::create_with(&kafka, &source, partitions, &[]).await?;
    let name = source.clone();
    tokio::task::spawn_blocking(move || {
        let events = batch(size, rows).map(|row| row.json(Table::Plain));
        preload::spread(&kafka, &name, partitions, events)
    })
    .await??;
    Ok((source, topic))
}

fn print(step: &Step) {
    let Step { rows_before, measurement } = step;
    println!(
        "  {:<13} {rows_before:>11} {:>8.2} {:>7.2}",
        measurement.system,
        measurement.seconds,
        step.microseconds_per_row()
    );
}

fn plot(steps: &[Step], sizes: &[u64], rows: u64) -> Plot {
    let groups = steps.chunks(SYSTEMS.len()).zip(sizes).map(|(steps, size)| Group {
        label: format!("{:.1} M rows", *size as f64 / 1e6),
        bars: steps
            .iter()
            .map(|step| Bar { value: step.microseconds_per_row(), note: String::new() })
            .collect(),
    });
    Plot {
        title: "growth: time per new row".to_owned(),
        subtitle: format!("of {rows} new rows, by the rows that the table has already"),
        unit: "µs/row".to_owned(),
        series: SYSTEMS.iter().map(|system| system.name()).collect(),
        groups: groups.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{batch, rows_before};

    #[test]
    fn a_batch_is_new_and_spread() {
        for (size, rows) in [(10, 10), (1000, 100), (999, 100)] {
            let before: BTreeSet<_> =
                rows_before(size, rows).map(|row| (row.ts(), row.sensor)).collect();
            let new: BTreeSet<_> = batch(size, rows).map(|row| (row.ts(), row.sensor)).collect();
            assert!(before.len() as u64 >= size && (before.len() as u64) < size + rows);
            assert_eq!(new.len() as u64, rows);
            assert!(before.is_disjoint(&new));
            assert!(new.last() > before.iter().nth(before.len() / 2));
        }
    }
}
