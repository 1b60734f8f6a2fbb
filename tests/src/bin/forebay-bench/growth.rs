//! The same batch of new rows into ever larger tables: what a row costs, by binary COPY and by
//! Forebay.
//!
//! The rows that are there before come in the order of time, as they would in a table of readings,
//! and get their key afterwards, which is faster. The batch's keys are spread over all of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Topic, WriterConfig};
use serde::{Deserialize, Serialize};

use crate::{
    Bench, goal,
    meter::{Meter, Work},
    plot::{Bar, Group, Plot, number},
    preload, report,
    results::Measurement,
    row::{self, MAX_ROWS, Row, mix},
    scenario::{Known, Scenario, rows_per_commit},
    stream::Stream,
    system::{Assignment, Client, System},
};

const SYSTEMS: &[System] = &[System::Copy, System::Forebay1];

/// A file of the kind `growth`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(rename = "kind")]
    _kind: Known,
    description: String,
    /// Rows that the table has before.
    sizes: Vec<u64>,
    /// How much forebay-1's cost of a row may grow, as a share of what it grows for copy.
    most_growth: f64,
    #[serde(default = "rows_per_commit")]
    pub rows_per_commit: u64,
    pub stream: Stream,
    /// More of the writer's configuration.
    #[serde(default)]
    writer: toml::Table,
}

impl Settings {
    pub fn check(&self) -> Result<()> {
        ensure!(!self.sizes.is_empty(), "sizes: there is none");
        let range = 1..=MAX_ROWS;
        ensure!(self.sizes.iter().all(|size| range.contains(size)), "sizes: not in {range:?}");
        ensure!(self.rows_per_commit > 0, "rows_per_commit is 0");
        ensure!(self.stream.is_plain(), "stream: growth has each key once, and no bad event");
        Ok(())
    }
}

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
    (0..batch * stride).filter(move |n| *n != chosen(n / stride, stride)).map(Row::new)
}

/// The rows of the batch, in random order: one of each so many.
pub fn batch(size: u64, batch: u64) -> impl Iterator<Item = Row> {
    let stride = stride(size, batch);
    row::shuffled(batch).map(move |block| Row::new(chosen(block, stride)))
}

fn stride(size: u64, batch: u64) -> u64 {
    size.div_ceil(batch) + 1
}

/// The row of the batch among so many neighbours.
fn chosen(block: u64, stride: u64) -> u64 {
    block * stride + mix(block) % stride
}

#[derive(Serialize)]
struct Figures<'a> {
    steps: &'a [Step],
}

/// Measures batches of so many rows into tables of each size.
pub async fn run(bench: &Bench<'_>, scenario: &Scenario, settings: &Settings) -> Result<()> {
    let (name, rows) = (&scenario.name, bench.arguments.rows);
    let asked = &bench.arguments.sizes;
    let sizes = if asked.is_empty() { &settings.sizes } else { asked };
    println!("\n{name}: {rows} {}", settings.description);
    println!("  system        rows before  seconds  µs/row");
    let mut steps = Vec::new();
    for &size in sizes {
        for &system in SYSTEMS {
            let run = Run { bench, scenario, settings, size, rows };
            let step = run.measure(system).await;
            let step = step.with_context(|| format!("{} into {size} rows", system.name()))?;
            print(&step);
            steps.push(step);
        }
    }
    if let Some((copy, forebay)) =
        growth(&steps, System::Copy).zip(growth(&steps, System::Forebay1))
    {
        let (share, most) = (forebay / copy, settings.most_growth);
        let verdict = goal::verdict(share <= most, &format!("at most {most}"));
        println!("{name}: copy costs {copy:.2} times as much in the end as in the beginning");
        println!("{name}: forebay-1 {forebay:.2} times, which is {share:.2} of that{verdict}");
    }
    let (figures, plot) = (Figures { steps: &steps }, plot(name, &steps, sizes, rows));
    report::write(bench, scenario, &settings.description, figures, plot)
}

/// What a row costs in the end, as a multiple of what it costs in the beginning.
fn growth(steps: &[Step], system: System) -> Option<f64> {
    let of_system = steps.iter().filter(|step| step.measurement.system == system);
    let mut costs = of_system.map(Step::microseconds_per_row);
    let first = costs.next()?;
    Some(costs.next_back()? / first)
}

/// One batch into a table of one size.
struct Run<'a> {
    bench: &'a Bench<'a>,
    scenario: &'a Scenario,
    settings: &'a Settings,
    size: u64,
    rows: u64,
}

impl Run<'_> {
    async fn measure(&self, system: System) -> Result<Step> {
        let (servers, rows) = (self.bench.servers, self.rows);
        let database = servers.database(None).await?;
        let table = &self.settings.stream.table;
        let sql = database.primary();
        self.fill(&database).await?;
        let count = format!("select count(*) from {}", table.name);
        let rows_before: i64 = sql.query_one(&count, &[]).await?.get(0);
        let topic = self.topic().await?;
        if system == System::Forebay1 {
            let target = format!("select forebay.add_target('{}')", table.name);
            sql.batch_execute(&target).await?;
        }
        let meter = Meter::start(servers, &database).await?;
        let client = if system == System::Forebay1 {
            self.forebay(&database, &topic).await?
        } else {
            self.client(&database, "growth-copy").await?
        };
        let measurement = meter.stop(system, Work { events: rows, rows }, client).await?;
        let after: i64 = sql.query_one(&count, &[]).await?.get(0);
        let added = u64::try_from(after - rows_before)?;
        ensure!(added == rows, "{added} rows were added, and not {rows}");
        servers.drop_database(database).await?;
        servers.delete_topic(&topic).await?;
        Ok(Step { rows_before: u64::try_from(rows_before)?, measurement })
    }

    /// Makes the table with the rows that it has before.
    async fn fill(&self, database: &Database) -> Result<()> {
        let table = &self.settings.stream.table;
        let sql = database.primary();
        sql.batch_execute(&table.create).await?;
        let key = "select quote_ident(conname), pg_get_constraintdef(oid) from pg_constraint \
                   where contype = 'p' and conrelid = $1::text::regclass";
        let key = sql.query_one(key, &[&table.name]).await.context("its primary key")?;
        let (name, key): (String, String) = (key.get(0), key.get(1));
        let change = format!("alter table {}", table.name);
        sql.batch_execute(&format!("{change} drop constraint {name}")).await?;
        drop(self.client(database, "growth-load").await?);
        sql.batch_execute(&format!("{change} add constraint {name} {key}")).await?;
        sql.batch_execute(&format!("vacuum analyze {}", table.name)).await?;
        Ok(())
    }

    /// A topic with the batch.
    async fn topic(&self) -> Result<Topic> {
        let (table, good) = (self.settings.stream.table.clone(), BTreeMap::new());
        let rows = batch(self.size, self.rows);
        let events = rows.map(move |row| table.json(row, &good));
        preload::spread(self.bench.servers, self.settings.stream.partitions, events).await
    }

    async fn client(&self, database: &Database, name: &str) -> Result<Client> {
        let dsn = database.primary_endpoint().superuser_dsn(database.name());
        let (size, batch) = (self.size.to_string(), self.rows.to_string());
        let arguments = [name, &self.scenario.given, &size, &batch];
        Client::own(self.bench.servers, &dsn, &arguments).await
    }

    async fn forebay(&self, database: &Database, topic: &Topic) -> Result<Client> {
        let (servers, settings) = (self.bench.servers, &self.settings.writer);
        let assignment = Assignment { servers, database, topic, workers: 1, settings };
        let batch = i64::try_from(self.settings.rows_per_commit)?;
        let table = format!("public.{}", self.settings.stream.table.name);
        let form = |config: WriterConfig| config.flat(&table).set("batch.max_rows", batch);
        Client::forebay(&assignment, form, self.rows).await
    }
}

fn print(step: &Step) {
    let Step { rows_before, measurement } = step;
    println!(
        "  {:<13} {rows_before:>11} {:>8.2} {:>7.2}",
        measurement.system.name(),
        measurement.seconds,
        step.microseconds_per_row()
    );
}

fn plot(name: &str, steps: &[Step], sizes: &[u64], rows: u64) -> Plot {
    let groups = steps.chunks(SYSTEMS.len()).zip(sizes).map(|(steps, size)| Group {
        label: format!("{} rows", number(*size as f64)),
        bars: steps
            .iter()
            .map(|step| Bar { value: step.microseconds_per_row(), note: String::new() })
            .collect(),
    });
    Plot {
        title: format!("{name}: time per new row"),
        subtitle: format!(
            "of {} new rows, by the rows that the table has already",
            number(rows as f64)
        ),
        unit: "µs/row".to_owned(),
        series: SYSTEMS.iter().map(|system| system.name()).collect(),
        groups: groups.collect(),
        command: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{batch, rows_before};

    #[test]
    fn a_batch_is_new_and_spread() {
        for (size, rows) in [(10, 10), (1000, 100), (999, 100)] {
            let before: BTreeSet<_> = rows_before(size, rows).map(|row| row.number).collect();
            let new: BTreeSet<_> = batch(size, rows).map(|row| row.number).collect();
            assert!(before.len() as u64 >= size && (before.len() as u64) < size + rows);
            assert_eq!(new.len() as u64, rows);
            assert!(before.is_disjoint(&new));
            assert!(new.last() > before.iter().nth(before.len() / 2));
        }
    }
}
