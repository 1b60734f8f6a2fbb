//! A PostgreSQL server, its replica and a broker that let nobody in without TLS and a password.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, NumberedStream, Postgres, Stack, Writer, WriterConfig,
    broker::{SecureBroker, Security},
    certificate::{Authority, Certificate},
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

/// The host that all certificates but the misnamed are for.
pub const HOST: &str = "db.example";

/// The servers, and a stream of events.
pub struct Site {
    pub stack: Stack,
    pub directory: PathBuf,
    pub authority: Authority,
    /// An authority that nobody has a certificate of.
    pub stranger: Authority,
    pub primary: Postgres,
    pub broker: SecureBroker,
    pub stream: NumberedStream,
}

impl Site {
    /// Starts the servers; those that log in at the database do it by `method`.
    pub async fn create(prefix: &str, method: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let directory = stack.directory(prefix)?;
        let authority = Authority::create(&directory, "the authority")?;
        let stranger = Authority::create(&directory, "a stranger")?;
        let own = authority.issue("server", &[HOST, Endpoint::HOST])?;
        let misnamed = authority.issue("server", &["elsewhere.example", "10.0.0.1"])?;
        let security = Security {
            certificate: &own,
            misnamed: &misnamed,
            authority: &authority,
            username: KAFKA_USER,
            password: KAFKA_PASSWORD,
        };
        let (primary, broker) = tokio::try_join!(
            secure_primary(&directory, &own, &authority, method),
            SecureBroker::create(&directory, "kafka", &security),
        )?;
        let database = Database::create_on(primary.endpoint(), None, prefix).await?;
        let sql = format!(
            "alter role {} password '{}'",
            database.writer_role(),
            DATABASE_PASSWORD.replace('\'', "''")
        );
        database.primary().batch_execute(&sql).await?;
        let plain = broker.broker.bootstrap_servers();
        let stream = NumberedStream::create_in(&plain, database, prefix, 2).await?;
        Ok(Self { stack, directory, authority, stranger, primary, broker, stream })
    }

    /// The writer's connection string, without a password, protected by these parameters.
    pub fn dsn(&self, host: &str, protection: &str) -> String {
        dsn(self.stream.database(), host, self.primary.endpoint(), protection)
    }

    /// `sslmode=verify-full` with the right authority.
    pub fn verified(&self) -> String {
        format!("sslmode=verify-full sslrootcert={}", self.authority.file().display())
    }

    /// A configuration that fits, with everything verified and no password.
    pub fn without_passwords(&self) -> WriterConfig {
        self.stream
            .config()
            .set("database.dsn", self.dsn(HOST, &self.verified()))
            .set("kafka.bootstrap_servers", self.broker.sasl_ssl.as_str())
            .set("kafka.security_protocol", "sasl_ssl")
            .set("kafka.ca_file", text(self.authority.file()))
            .set("kafka.username", KAFKA_USER)
            .set("log.level", "trace")
    }

    /// A configuration that fits.
    pub fn config(&self) -> WriterConfig {
        self.without_passwords()
            .set("database.password", DATABASE_PASSWORD)
            .set("kafka.password", KAFKA_PASSWORD)
    }

    /// Runs a writer with this configuration over events that are sent while it runs.
    pub async fn run(&mut self, config: WriterConfig) -> Result<()> {
        let mut writer = Writer::start(&self.stack, config)?;
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

async fn secure_primary(
    directory: &Path,
    certificate: &Certificate,
    authority: &Authority,
    method: &str,
) -> Result<Postgres> {
    let mut primary = Postgres::primary(directory, "primary", THROW_AWAY).await?;
    primary.secure(certificate, authority, method).await?;
    Ok(primary)
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
