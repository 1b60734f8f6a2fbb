//! Rows of one table: one system after the other, each into a new database.

use anyhow::{Result, ensure};
use forebay_tests::{Database, Topic};
use serde::Deserialize;

use crate::{
    Bench,
    arrival::{Arrival, Ends},
    comparison::Comparison,
    goal::Goal,
    jdbc_sink,
    meter::{Meter, Work},
    plot::number,
    preload,
    results::{Measurement, Results},
    scenario::{Known, Scenario, rows_per_commit},
    stream::{Before, Compression, Stream},
    system::{self, Assignment, Client, System},
};

/// A file of the kind `rows`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(rename = "kind")]
    _kind: Known,
    description: String,
    systems: Vec<System>,
    /// Of all but the JDBC sink.
    #[serde(default = "rows_per_commit")]
    pub rows_per_commit: u64,
    pub stream: Stream,
    /// More of the writer's configuration.
    #[serde(default)]
    writer: toml::Table,
    #[serde(default)]
    goals: Vec<Goal>,
}

impl Settings {
    /// A COPY can't update, and what makes its rows itself makes no bad ones.
    pub fn check(&self) -> Result<()> {
        let mut can = vec![System::Forebay1, System::Forebay2];
        let mut why = "bad events are for those alone that read from Kafka and pass them";
        if !self.stream.has_bad() {
            can.extend([System::BulkSql, System::DebeziumJdbc]);
            why = "it can't write a key that is there already";
            if !self.stream.repeats() && self.stream.before == Before::Nothing {
                can.push(System::Copy);
                why = "it is of the kind butler";
            }
        }
        system::check(&self.systems, &can, why)?;
        ensure!(self.rows_per_commit > 0, "rows_per_commit is 0");
        self.goals.iter().try_for_each(Goal::check)
    }
}

/// Fills a topic, and measures all systems.
pub async fn run(
    bench: &Bench<'_>,
    scenario: &Scenario,
    settings: &Settings,
    all: &mut Vec<Results>,
) -> Result<()> {
    let (rows, stream) = (bench.arguments.rows, &settings.stream);
    let topic = preload::topic(bench.servers, stream, rows).await?;
    let description = format!(
        "{} rows, {}{}",
        number(rows as f64),
        settings.description,
        ratio(bench, &topic, stream)?
    );
    let (ends, rows_left) = (Ends::of(stream, rows), stream.rows_left(rows));
    let run = Run { bench, scenario, settings, rows, rows_left, topic: &topic, ends };
    let comparison = Comparison {
        bench,
        scenario,
        description,
        unit: "rows",
        systems: &settings.systems,
        goals: &settings.goals,
    };
    all.push(comparison.run(async |system| run.measure(system).await).await?);
    bench.servers.delete_topic(&topic).await
}

/// How well the events are compressed, if they are, for people.
fn ratio(bench: &Bench<'_>, topic: &Topic, stream: &Stream) -> Result<String> {
    let Some(broker) = bench.servers.broker_directory() else { return Ok(String::new()) };
    if stream.compression == Compression::None {
        return Ok(String::new());
    }
    let ratio = preload::compression_ratio(broker, topic, stream, bench.arguments.rows)?;
    Ok(format!(", compressed {ratio:.0}:1"))
}

/// What all systems are measured with.
struct Run<'a> {
    bench: &'a Bench<'a>,
    scenario: &'a Scenario,
    settings: &'a Settings,
    rows: u64,
    rows_left: u64,
    topic: &'a Topic,
    ends: Ends,
}

impl Run<'_> {
    /// From the start of the client's process until the last commit.
    async fn measure(&self, system: System) -> Result<Measurement> {
        let servers = self.bench.servers;
        let table = &self.settings.stream.table;
        let database = servers.database(None).await?;
        database.primary().batch_execute(&table.create).await?;
        if self.settings.stream.before != Before::Nothing {
            drop(self.client(&database, "load").await?);
        }
        if matches!(system, System::Forebay1 | System::Forebay2) {
            let target = format!("select forebay.add_target('{}')", table.name);
            database.primary().batch_execute(&target).await?;
        }
        let arrival = Arrival::expect(&database, table, &self.ends).await?;
        let meter = Meter::start(servers, &database).await?;
        let client = match system {
            System::BulkSql => self.client(&database, "bulk-sql").await?,
            System::DebeziumJdbc => {
                let stream = &self.settings.stream;
                jdbc_sink::run(servers, &database, self.topic, stream, &arrival).await?
            }
            System::Forebay1 => self.forebay(&database, 1).await?,
            System::Forebay2 => self.forebay(&database, 2).await?,
            System::Copy | System::ButlerClient => self.client(&database, "copy").await?,
        };
        let work = Work { events: self.rows, rows: self.rows };
        let measurement = meter.stop(system, work, client).await?;
        let count = format!("select count(*) from {}", table.name);
        let found: i64 = database.primary().query_one(&count, &[]).await?.get(0);
        let expected = self.rows_left;
        ensure!(
            u64::try_from(found)? == expected,
            "the table has {found} rows, and not {expected}"
        );
        drop(arrival);
        servers.drop_database(database).await?;
        Ok(measurement)
    }

    async fn client(&self, database: &Database, name: &str) -> Result<Client> {
        let dsn = database.primary_endpoint().superuser_dsn(database.name());
        let arguments = [name, &self.scenario.given, &self.rows.to_string()];
        Client::own(self.bench.servers, &dsn, &arguments).await
    }

    /// A writer of so many workers.
    async fn forebay(&self, database: &Database, workers: u8) -> Result<Client> {
        let assignment = Assignment {
            servers: self.bench.servers,
            database,
            topic: self.topic,
            workers,
            settings: &self.settings.writer,
        };
        let batch = i64::try_from(self.settings.rows_per_commit)?;
        let table = format!("public.{}", self.settings.stream.table.name);
        let form =
            |config: forebay_tests::WriterConfig| config.flat(&table).set("batch.max_rows", batch);
        Client::forebay(&assignment, form, self.rows).await
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use crate::{file, stream::tests::stream};

    #[test]
    fn systems_that_can_not_do_it_are_refused() {
        let with = |systems: &str, lines: &str| {
            let text = format!(
                "kind = 'rows'\ndescription = ''\nsystems = [{systems}]\n\
                 [stream]\ntable = '../tables/sensor.toml'\n{lines}"
            );
            let mut settings: Settings = toml::from_str(&text)?;
            settings.stream.load(&file::folder().join("scenarios/any.toml"))?;
            settings.check()
        };
        assert!(stream("").is_ok() && with("'copy', 'debezium-jdbc'", "").is_ok());
        assert!(with("'bulk-sql'", "before = 'same'").is_ok());
        for (systems, lines, expected) in [
            ("'copy'", "before = 'same'", "systems: not copy: it can't write a key"),
            ("'copy'", "repeated_one_in = 2", "systems: not copy: it can't write a key"),
            ("'bulk-sql'", "bad = { one_in = 2, cut = true }", "systems: not bulk-sql: bad events"),
            ("'butler-client'", "", "systems: not butler-client: it is of the kind butler"),
            ("'copy', 'copy'", "", "systems: copy comes twice"),
            ("", "", "systems: there is none"),
            ("'forebay-1'", "[[goals]]\nsystem = 'copy'\nfigure = 'wal'", "either at_least"),
            ("'forebay-1'", "[memory]\nbudget = 1", "unknown field `memory`"),
        ] {
            let error = format!("{:#}", with(systems, lines).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
