//! Debezium's JDBC sink under a standalone Kafka Connect, as tuned as its documentation knows.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use forebay_tests::{
    Database, Endpoint, Topic, account, java, port, process, process::Process, wait,
};

use crate::{arrival::Arrival, servers::Servers, stream::Stream, system::Client};

/// As Kafka's own script starts it.
const JAVA: &[&str] = &[
    "-Xms256M",
    "-Xmx2G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

/// The step that ends with the first batch.
pub const START: &str = "start";

/// What Connect logs when it gives up; it lives on.
const FAILED: &str = "Task threw an uncaught and unrecoverable exception";

/// Starts it with an empty past, and waits until the last events have arrived in the table.
pub async fn run(
    servers: &Servers,
    database: &Database,
    topic: &Topic,
    stream: &Stream,
    arrival: &Arrival,
) -> Result<Client> {
    let mut sink = Sink::start(servers, database, topic, stream)?;
    let clock = Instant::now();
    sink.wait("begin", || arrival.has_begun()).await?;
    let start = clock.elapsed().as_secs_f64();
    sink.wait("write all rows", || arrival.is_complete()).await?;
    let steps = BTreeMap::from([(START.to_owned(), start)]);
    Ok(Client::Other { process: sink.process, seconds: None, steps })
}

struct Sink {
    process: Process,
    log: PathBuf,
}

impl Sink {
    fn start(
        servers: &Servers,
        database: &Database,
        topic: &Topic,
        stream: &Stream,
    ) -> Result<Self> {
        let name = servers.name("sink");
        servers.remember_group(format!("connect-{name}"));
        let directory = account::make_directory(&servers.scratch().join(&name))?;
        // It gets the database's password.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        let worker = worker(servers.kafka(), &directory, stream)?;
        fs::write(directory.join("worker.properties"), worker)?;
        fs::write(directory.join("sink.properties"), connector(&name, database, topic, stream))?;
        let class = "org.apache.kafka.connect.cli.ConnectStandalone";
        let mut command = java::command("kafka-connect", JAVA, class, &directory)?;
        command.args(["worker.properties", "sink.properties"]);
        let log = directory.join("log");
        Ok(Self { process: Process::start_logged(&name, command, &log)?, log })
    }

    /// Waits for what the table shows.
    async fn wait<F>(&mut self, what: &str, shows: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = Result<bool>>,
    {
        let waited = wait::until_within(Duration::MAX, format!("the sink to {what}"), || {
            let (alive, shows) = (self.look(), shows());
            async move {
                alive?;
                shows.await.map(|shows| shows.then_some(()))
            }
        });
        let waited = waited.await;
        waited.with_context(|| process::log_tail(&self.log))
    }

    /// Fails if the sink has given up.
    fn look(&mut self) -> Result<()> {
        if let Some(status) = self.process.exit_status()? {
            bail!("it has ended: {status}");
        }
        if fs::read_to_string(&self.log)?.contains(FAILED) {
            bail!("it has failed");
        }
        Ok(())
    }
}

fn worker(kafka: &str, directory: &Path, stream: &Stream) -> Result<String> {
    Ok(properties(&[
        ("bootstrap.servers", kafka),
        ("listeners", &format!("http://{}:{}", Endpoint::HOST, port::free()?)),
        ("offset.storage.file.filename", &directory.join("offsets").display().to_string()),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter.schemas.enable", "true"),
        ("value.converter.schema.content", &stream.table.connect_schema()),
    ]))
}

fn connector(name: &str, database: &Database, topic: &Topic, stream: &Stream) -> String {
    // Without it, a key that comes twice in a batch is an error.
    let reduce = stream.repeats();
    let primary = database.primary_endpoint();
    let url = format!(
        "jdbc:postgresql://{}:{}/{}?reWriteBatchedInserts=true",
        primary.host(),
        primary.port,
        database.name()
    );
    properties(&[
        ("name", name),
        ("connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector"),
        ("tasks.max", "1"),
        ("topics", topic.name()),
        ("connection.url", &url),
        ("connection.username", primary.user()),
        ("connection.password", &primary.password().unwrap_or_default()),
        ("collection.name.format", &stream.table.name),
        ("insert.mode", "upsert"),
        ("primary.key.mode", "record_value"),
        ("primary.key.fields", &stream.table.key.join(",")),
        ("schema.evolution", "none"),
        ("batch.size", "5000"),
        ("use.reduction.buffer", &reduce.to_string()),
        ("dialect.postgres.unnest.insert.enabled", "true"),
        ("consumer.override.max.poll.records", "5000"),
        ("consumer.override.auto.offset.reset", "earliest"),
    ])
}

fn properties(settings: &[(&str, &str)]) -> String {
    settings.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}={}", value.replace('\\', r"\\"));
        text
    })
}
