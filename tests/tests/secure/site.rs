//! A PostgreSQL server, its replica and a broker that let nobody in without TLS and a password.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, NumberedStream, Postgres, Stack, Writer, WriterConfig,
    broker::{SecureBroker, Security},
    certificate::Authority,
    command::Ended,
    endpoint::Endpoint,
    postgres::THROW_AWAY,
};

/// The writer's password at the database.
pub const DATABASE_PASSWORD: &str = "to the 'lake' of data";

/// The writer's name at the brokers.
pub const KAFKA_USER: &str = "writer";

/// The writer's password there.
pub const KAFKA_PASSWORD: &str = "past-the-gate-of-logs";

/// The host that the database's certificate is for.
pub const HOST: &str = "db.example";

/// Where the servers of a test keep their files, and whose certificates they have.
pub struct Ground {
    pub stack: Stack,
    pub directory: PathBuf,
    pub authority: Authority,
    /// An authority that nobody has a certificate of.
    pub stranger: Authority,
}

impl Ground {
    fn create(prefix: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let directory = stack.directory(prefix)?;
        let authority = Authority::create(&directory, "the authority")?;
        let stranger = Authority::create(&directory, "a stranger")?;
        Ok(Self { stack, directory, authority, stranger })
    }

    /// A server into which one comes by TLS and `method` alone.
    async fn primary(&self, method: &str) -> Result<Postgres> {
        let certificate = self.authority.issue("server", &[HOST])?;
        let mut primary = Postgres::primary(&self.directory, "primary", THROW_AWAY).await?;
        primary.secure(&certificate, &self.authority, method).await?;
        Ok(primary)
    }

    async fn broker(&self) -> Result<SecureBroker> {
        let security = Security {
            certificate: &self.authority.issue("server", &[Endpoint::HOST])?,
            misnamed: &self.authority.issue("server", &["elsewhere.example", "10.0.0.1"])?,
            authority: &self.authority,
            username: KAFKA_USER,
            password: KAFKA_PASSWORD,
        };
        SecureBroker::create(&self.directory, "kafka", &security).await
    }
}

/// A guarded database, and a stream of events into it.
pub struct Site {
    pub ground: Ground,
    pub primary: Postgres,
    pub stream: NumberedStream,
}

impl Site {
    /// Starts the server. The writer logs in there by `method`; events come by the shared broker.
    pub async fn create(prefix: &str, method: &str) -> Result<Self> {
        let ground = Ground::create(prefix)?;
        let primary = ground.primary(method).await?;
        let kafka = ground.stack.kafka().to_owned();
        Self::with_stream(ground, primary, prefix, &kafka).await
    }

    async fn with_stream(
        ground: Ground,
        primary: Postgres,
        prefix: &str,
        kafka: &str,
    ) -> Result<Self> {
        let database = Database::create_on(primary.endpoint(), None, prefix).await?;
        let stream = NumberedStream::create_in(kafka, database, prefix, 2).await?;
        let site = Self { ground, primary, stream };
        site.set_password(DATABASE_PASSWORD).await?;
        Ok(site)
    }

    /// Gives the writer's role this password.
    pub async fn set_password(&self, password: &str) -> Result<()> {
        let database = self.stream.database();
        let quoted = password.replace('\'', "''");
        let sql = format!("alter role {} password '{quoted}'", database.writer_role());
        Ok(database.primary().batch_execute(&sql).await?)
    }

    /// The writer's connection string, without a password, protected by these parameters.
    pub fn dsn(&self, host: &str, protection: &str) -> String {
        dsn(self.stream.database(), host, self.primary.endpoint(), protection)
    }

    /// `sslmode=verify-full` with the right authority.
    pub fn verified(&self) -> String {
        format!("sslmode=verify-full sslrootcert={}", self.ground.authority.file().display())
    }

    /// A configuration that fits.
    pub fn config(&self) -> WriterConfig {
        self.stream
            .config()
            .set("database.dsn", self.dsn(HOST, &self.verified()))
            .set("database.password", DATABASE_PASSWORD)
    }

    /// Runs a writer with this configuration over events that are sent while it runs.
    pub async fn run(&mut self, config: WriterConfig) -> Result<()> {
        let mut writer = Writer::start(&self.ground.stack, config.set("log.level", "trace"))?;
        self.stream.send(200).await?;
        let merged = self.stream.wait_until_all_merged().await;
        merged.with_context(|| writer.output().tail())?;
        self.check_sessions().await?;
        self.stream.check_complete().await?;
        for path in ["/readyz", "/metrics"] {
            check_secrets(&writer.get(path).await?.body)?;
        }
        writer.stop().await?;
        check_secrets(&writer.output().lines().join("\n"))
    }

    /// The writer has sessions, all of them encrypted.
    pub async fn check_sessions(&self) -> Result<()> {
        let sql = "select count(*), count(*) filter (where ssl and version >= 'TLSv1.2') \
                   from pg_stat_ssl join pg_stat_activity using (pid) where usename = $1";
        let role = self.stream.database().writer_role();
        let row = self.stream.database().primary().query_one(sql, &[&role]).await?;
        let (all, encrypted): (i64, i64) = (row.get(0), row.get(1));
        ensure!(all > 0 && encrypted == all, "{encrypted} of {all} sessions are encrypted");
        Ok(())
    }
}

/// A guarded database, and a guarded broker that its events come by.
pub struct GuardedSite {
    pub site: Site,
    pub broker: SecureBroker,
}

impl GuardedSite {
    /// Starts the servers. The writer logs in at the database by `method`.
    pub async fn create(prefix: &str, method: &str) -> Result<Self> {
        let ground = Ground::create(prefix)?;
        let (primary, broker) = tokio::try_join!(ground.primary(method), ground.broker())?;
        let kafka = broker.broker.bootstrap_servers();
        let site = Site::with_stream(ground, primary, prefix, &kafka).await?;
        Ok(Self { site, broker })
    }

    /// A configuration that fits, but for the passwords.
    pub fn without_passwords(&self) -> WriterConfig {
        self.site
            .stream
            .config()
            .set("database.dsn", self.site.dsn(HOST, &self.site.verified()))
            .set("kafka.bootstrap_servers", self.broker.sasl_ssl.as_str())
            .set("kafka.security_protocol", "sasl_ssl")
            .set("kafka.ca_file", text(self.site.ground.authority.file()))
            .set("kafka.username", KAFKA_USER)
    }

    /// A configuration that fits.
    pub fn config(&self) -> WriterConfig {
        self.without_passwords()
            .set("database.password", DATABASE_PASSWORD)
            .set("kafka.password", KAFKA_PASSWORD)
    }
}

/// A connection string that names a host, and its address besides, since no name server knows it.
pub fn dsn(database: &Database, host: &str, endpoint: &Endpoint, protection: &str) -> String {
    format!(
        "host={host} hostaddr={} port={} dbname={} user={} {protection}",
        Endpoint::HOST,
        endpoint.port,
        database.name(),
        database.writer_role(),
    )
}

/// A path in a configuration.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Nothing that the writer says has a password in it.
pub fn check_secrets(said: &str) -> Result<()> {
    for secret in [DATABASE_PASSWORD, "'lake'", KAFKA_PASSWORD] {
        if let Some(at) = said.find(secret) {
            let line = said[..at].lines().count();
            anyhow::bail!("a password in line {line}: {:?}", said.lines().nth(line - 1));
        }
    }
    Ok(())
}

/// What a command said, which has no password in it.
pub fn said(ended: &Ended) -> Result<String> {
    let said = ended.said();
    check_secrets(&said)?;
    Ok(said)
}
