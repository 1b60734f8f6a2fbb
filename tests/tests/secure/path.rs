//! The whole path over verified connections.

use std::fs;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Postgres, Writer, command, postgres::THROW_AWAY};

use crate::site::{
    DATABASE_PASSWORD, GuardedSite, HOST, KAFKA_PASSWORD, KAFKA_USER, Site, dsn, said, text,
};

/// Passwords in the file, in files of their own, and in the environment; both of Kafka's
/// mechanisms; channel binding demanded.
#[tokio::test]
async fn events_are_merged_over_verified_connections() -> Result<()> {
    let mut guarded = GuardedSite::create("verified", "scram-sha-256").await?;
    let stack = guarded.site.ground.stack.clone();
    let config = guarded.config().set("kafka.sasl_mechanism", "SCRAM-SHA-256");
    let bound = format!("{} channel_binding=require", guarded.site.verified());
    let config = config.set("database.dsn", guarded.site.dsn(HOST, &bound));
    let checked = command::check(&stack, &config).await?;
    assert_eq!(checked.code, Some(0), "{}", said(&checked)?);
    guarded.site.run(config).await?;

    for (name, password) in [("database", DATABASE_PASSWORD), ("kafka", KAFKA_PASSWORD)] {
        let file = stack.scratch().join(format!("{name}-password"));
        fs::write(file, format!("{password}\n"))?;
    }
    let config = guarded
        .without_passwords()
        .set("kafka.sasl_mechanism", "SCRAM-SHA-512")
        .set("database.password_file", "database-password")
        .set("kafka.password_file", "kafka-password");
    guarded.site.run(config).await?;

    let config = guarded
        .without_passwords()
        .env("FOREBAY_DATABASE_PASSWORD", DATABASE_PASSWORD)
        .env("FOREBAY_KAFKA_PASSWORD", KAFKA_PASSWORD);
    guarded.site.run(config).await?;

    // The system's authorities, if one of them has issued the certificate.
    let config = guarded
        .config()
        .set("database.dsn", guarded.site.dsn(HOST, "sslrootcert=system"))
        .env("SSL_CERT_FILE", &text(guarded.site.ground.authority.file()));
    guarded.site.run(config).await?;

    // Logins over networks that one trusts: nothing is verified, and to Kafka not encrypted.
    let quoted = DATABASE_PASSWORD.replace('\'', "\\'");
    let dsn = guarded.site.dsn(HOST, &format!("sslmode=require password='{quoted}'"));
    let config = guarded
        .site
        .stream
        .config()
        .set("database.dsn", dsn)
        .set("kafka.bootstrap_servers", guarded.broker.sasl_plaintext.as_str())
        .set("kafka.security_protocol", "SASL_PLAINTEXT")
        .set("kafka.username", KAFKA_USER)
        .set("kafka.password", KAFKA_PASSWORD);
    guarded.site.run(config).await
}

/// A dead host, a replica and the primary in one connection string, all but the dead one by TLS:
/// the one that takes writes is found, and found again after a failover.
#[tokio::test]
async fn a_failover_is_followed_over_verified_connections() -> Result<()> {
    let mut site = Site::create("failover", "scram-sha-256").await?;
    let replica =
        Postgres::replica(&site.ground.directory, "replica", site.primary.endpoint(), THROW_AWAY)
            .await?;
    let database = site.stream.database();
    let (dead, first, second) =
        (forebay_tests::port::free()?, replica.endpoint().port, site.primary.endpoint().port);
    let hosts = format!(
        "host={HOST},{HOST},{HOST} hostaddr=127.0.0.1,127.0.0.1,127.0.0.1 \
         port={dead},{first},{second} dbname={} user={} {}",
        database.name(),
        database.writer_role(),
        site.verified(),
    );
    let replicas = vec![dsn(database, HOST, replica.endpoint(), &site.verified())];
    let config = site.config().set("database.dsn", hosts).set("database.replicas", replicas);
    let grant = format!("grant forebay_reader to {}", database.writer_role());
    database.primary().batch_execute(&grant).await?;
    let lsn = database.primary().query_one("select pg_current_wal_lsn()", &[]).await?.get(0);
    forebay_tests::progress::wait_until_replayed(replica.endpoint(), lsn).await?;
    let checked = command::check(&site.ground.stack, &config).await?;
    let lines = said(&checked)?;
    assert_eq!(checked.code, Some(0), "{lines}");
    ensure!(lines.contains("replays the primary"), "{lines}");

    let mut writer = Writer::start(&site.ground.stack, config)?;
    site.stream.send(200).await?;
    site.stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    site.check_sessions().await?;
    site.primary.stop_immediately().await?;
    replica.promote().await?;
    site.stream.database_mut().reconnect(replica.endpoint()).await?;
    site.stream.send(200).await?;
    site.stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    site.check_sessions().await?;
    site.stream.check_complete().await?;
    writer.stop().await
}
