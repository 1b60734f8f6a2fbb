//! Rows of one table: one system after the other against the same database, each into a new table.

use anyhow::{Result, ensure};
use forebay_tests::{Topic, WriterConfig, endpoint::SUPERUSER, stack::unique};

use crate::{
    Surroundings,
    arrival::{Arrival, Ends},
    jdbc_sink,
    meter::{Meter, Work},
    preload,
    results::Measurement,
    scenario::Scenario,
    stream::Stream,
    system::{BATCH_ROWS, Client, System},
};

/// What all systems are measured with.
pub struct Bench<'a> {
    around: &'a Surroundings,
    stream: Stream,
    rows: u64,
    topic: Topic,
    ends: Ends,
}

impl<'a> Bench<'a> {
    /// Fills a topic.
    pub async fn prepare(around: &'a Surroundings, stream: Stream, rows: u64) -> Result<Self> {
        let name = Scenario::Rows(stream).name();
        let topic = Topic::create_with(&around.kafka(), &name, stream.partitions(), &[]).await?;
        let (servers, to) = (around.kafka(), topic.name().to_owned());
        tokio::task::spawn_blocking(move || preload::stream(&servers, &to, stream, rows)).await??;
        Ok(Self { around, stream, rows, topic, ends: Ends::of(stream, rows) })
    }

    /// For people.
    pub fn description(&self) -> Result<String> {
        let text = format!("{} rows, {}", self.rows, self.stream.description());
        if self.stream.compression() == "none" {
            return Ok(text);
        }
        let broker = self.around.broker.directory();
        let ratio = preload::compression_ratio(broker, &self.topic, self.stream, self.rows)?;
        Ok(format!("{text}, compressed {ratio:.0}:1"))
    }

    /// From the start of the client's process until the last commit.
    pub async fn measure(&self, system: System) -> Result<Measurement> {
        let database = &self.around.database;
        let sql = database.primary();
        sql.batch_execute(&self.stream.table().create()).await?;
        drop(self.client("load").await?);
        if matches!(system, System::Forebay1 | System::Forebay2) {
            sql.batch_execute("select forebay.add_target('sensor')").await?;
        }
        let arrival = Arrival::expect(database, &self.ends).await?;
        let meter = Meter::start(database, self.around.postmaster).await?;
        let client = match system {
            System::BulkSql => self.client("bulk-sql").await?,
            System::DebeziumJdbc => self.debezium_jdbc(&arrival).await?,
            System::Forebay1 => self.forebay(1).await?,
            System::Forebay2 => self.forebay(2).await?,
            System::Copy | System::ButlerClient => self.client("copy").await?,
        };
        let work = Work { events: self.rows, rows: self.rows };
        let measurement = meter.stop(system, work, client).await?;
        let rows: i64 = sql.query_one("select count(*) from sensor", &[]).await?.get(0);
        let all = self.stream.rows_left(self.rows);
        ensure!(u64::try_from(rows)? == all, "the table has {rows} rows, and not {all}");
        Ok(measurement)
    }

    async fn client(&self, name: &str) -> Result<Client> {
        let database = &self.around.database;
        let dsn = database.primary_endpoint().dsn(database.name(), SUPERUSER);
        let (stream, rows) = (Scenario::Rows(self.stream).name(), self.rows.to_string());
        Client::own(&[name, &dsn, &stream, &rows]).await
    }

    async fn debezium_jdbc(&self, arrival: &Arrival<'_>) -> Result<Client> {
        let (scratch, kafka) = (self.around.scratch.path(), self.around.kafka());
        let database = &self.around.database;
        jdbc_sink::run(scratch, &kafka, database, &self.topic, self.stream, arrival).await
    }

    /// A writer of so many workers.
    async fn forebay(&self, workers: u8) -> Result<Client> {
        let source = unique("rows");
        let database = &self.around.database;
        let config = WriterConfig::of(&self.around.kafka(), database, &source, &self.topic)
            .flat("public.sensor")
            .set("batch.max_rows", i64::try_from(BATCH_ROWS)?)
            .set("workers.count", i64::from(workers));
        Client::forebay(self.around.scratch.path(), config, database, &source, self.rows).await
    }
}
