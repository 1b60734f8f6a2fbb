//! The configuration that a test gives to its writer.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::{Database, Stack, Topic, port};

/// A writer's configuration file and environment.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    table: Table,
    environment: BTreeMap<String, String>,
}

impl WriterConfig {
    /// A source that reads `topic` into `database` as its writer's role, and listens on a free
    /// port. The format is still to be named.
    #[must_use]
    pub fn new(stack: &Stack, database: &Database, source: &str, topic: &Topic) -> Self {
        Self::of(stack.kafka(), database, source, topic)
    }

    /// [`new`](Self::new), without a shared stack.
    #[must_use]
    pub fn of(kafka: &str, database: &Database, source: &str, topic: &Topic) -> Self {
        let dsn = database.primary_endpoint().dsn(database.name(), database.writer_role());
        let mut config = Self { table: Table::new(), environment: BTreeMap::new() }
            .set("source.name", source)
            .set("source.topics", vec![topic.name().to_owned()])
            .set("kafka.bootstrap_servers", kafka)
            .set("database.dsn", dsn);
        if let Some(replica) = database.replica_endpoint() {
            let dsn = replica.dsn(database.name(), database.writer_role());
            config = config.set("database.replicas", vec![dsn]);
        }
        config
    }

    /// The format `flat`, into one table.
    #[must_use]
    pub fn flat(self, table: &str) -> Self {
        self.set("format.kind", "flat").set("format.table", table)
    }

    /// The format `rows`.
    #[must_use]
    pub fn rows(self) -> Self {
        self.set("format.kind", "rows")
    }

    /// The format `butler`, into a repository's schema.
    #[must_use]
    pub fn butler(self, schema: &str) -> Self {
        self.set("format.kind", "butler")
            .set("format.schema", schema)
            .set("format.datastore_name", "FileDatastore@<butlerRoot>")
    }

    /// Sets a value by its dotted name, such as `batch.max_rows`.
    ///
    /// # Panics
    ///
    /// If a part of the name is a value already.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        let mut table = &mut self.table;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                table.insert(part.to_owned(), value.into());
                break;
            }
            let section = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            table = section.as_table_mut().expect("a section of the configuration");
        }
        self
    }

    /// Sets an environment variable of the process.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Makes the writer stop for ever when it reaches a failpoint for the `hit`th time (1: the
    /// first).
    #[must_use]
    pub fn failpoint(self, name: &str, hit: u32) -> Self {
        self.env("FOREBAY_FAILPOINT", &format!("{name}:{hit}"))
    }

    /// Writes the file, and answers the port that the writer will listen on for HTTP. A test
    /// that names `http.listen` itself has that one.
    ///
    /// # Errors
    ///
    /// If the file can't be written, or `http.listen` has no port.
    pub fn write(&self, path: &Path) -> Result<u16> {
        let listen = self.table.get("http").and_then(|http| http.get("listen"));
        let (config, port) = match listen.and_then(Value::as_str) {
            Some(listen) => {
                let port = listen.rsplit(':').next().and_then(|port| port.parse().ok());
                (self.clone(), port.context("port of http.listen")?)
            }
            None => {
                let port = port::free()?;
                (self.clone().set("http.listen", format!("127.0.0.1:{port}")), port)
            }
        };
        let text = toml::to_string(&config.table).context("write the configuration as TOML")?;
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(port)
    }

    /// The environment variables of the process.
    pub fn environment(&self) -> impl Iterator<Item = (&String, &String)> {
        self.environment.iter()
    }
}
