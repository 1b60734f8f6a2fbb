//! What is wrong is said, and is tried again.

use anyhow::{Context, Result, ensure};
use forebay_tests::{Writer, command, wait};

use crate::site::{
    DATABASE_PASSWORD, GuardedSite, HOST, KAFKA_PASSWORD, KAFKA_USER, Site, check_secrets, said,
    text,
};

/// Each with what `forebay check` must say of the broker and of the primary, at once.
#[tokio::test]
async fn a_check_says_what_is_wrong_on_both_sides() -> Result<()> {
    let guarded = GuardedSite::create("refusal", "scram-sha-256").await?;
    let GuardedSite { site, broker } = &guarded;
    let stranger = site.ground.stranger.file().display();
    let cases = [
        (
            "another authority",
            guarded.config().set("kafka.ca_file", stranger.to_string()).set(
                "database.dsn",
                site.dsn(HOST, &format!("sslmode=verify-full sslrootcert={stranger}")),
            ),
            "certificate verify failed",
            "certificate is refused",
        ),
        (
            "another host",
            guarded
                .config()
                .set("kafka.bootstrap_servers", broker.misnamed.as_str())
                .set("database.dsn", site.dsn("elsewhere.example", &site.verified())),
            "certificate verify failed",
            "must name the host",
        ),
        (
            "another password",
            guarded.config().set("kafka.password", "wrong").set("database.password", "wrong"),
            "kafka.password",
            "password authentication failed",
        ),
        (
            "no TLS there",
            guarded.config().set("kafka.bootstrap_servers", broker.broker.bootstrap_servers()).set(
                "database.dsn",
                site.ground.stack.primary().dsn("postgres", "nobody") + " " + &site.verified(),
            ),
            "SSL",
            "server does not support TLS",
        ),
        (
            "TLS there",
            site.stream
                .config()
                .set("kafka.bootstrap_servers", broker.ssl.as_str())
                .set("database.dsn", site.dsn(HOST, "sslmode=disable")),
            "kafka.security_protocol",
            "no encryption",
        ),
    ];
    for (name, config, broker, primary) in cases {
        let checked = command::check(&site.ground.stack, &config).await?;
        let lines = said(&checked)?;
        println!("{name}:\n{lines}");
        assert_eq!(checked.code, Some(1), "{name}: {lines}");
        for (place, expected) in [("broker", broker), ("primary", primary)] {
            let start = format!("problem: {place} ");
            let found = lines.lines().find(|line| line.starts_with(&start));
            let found = found.with_context(|| format!("{name}: no `{start}` in: {lines}"))?;
            ensure!(found.contains(expected), "{name}: no `{expected}` in: {found}");
        }
    }
    Ok(())
}

/// A password that is wrong now may be right soon: the writer says whose it is, and goes on.
#[tokio::test]
async fn a_wrong_password_is_tried_again() -> Result<()> {
    let mut guarded = GuardedSite::create("password", "scram-sha-256").await?;
    let next = ["a new one at the database", "a-new-one-at-the-brokers"];
    let cases = [
        ("database", guarded.config().set("database.password", next[0]), "password authentication"),
        ("broker", guarded.config().set("kafka.password", next[1]), "kafka.password"),
    ];
    for (component, config, reason) in cases {
        let mut writer =
            Writer::start(&guarded.site.ground.stack, config.set("log.level", "trace"))?;
        let mark = writer.output().line_count();
        for _ in 0..2 {
            writer.output().wait_for_line(mark, "trying again in").await?;
        }
        let known = &writer;
        let what = format!("/readyz to name the {component} alone");
        wait::until(what, || async move {
            let answer = known.get("/readyz").await?;
            let components: Vec<serde_json::Value> = serde_json::from_str(&answer.body)?;
            let is_down = |name: &str| {
                components.iter().any(|one| one["component"] == name && one["ready"] == false)
            };
            let is_alone =
                ["broker", "database"].iter().all(|name| is_down(name) == (*name == component));
            Ok((answer.status == 503 && answer.body.contains(reason) && is_alone).then_some(()))
        })
        .await
        .with_context(|| writer.output().tail())?;
        if component == "database" {
            guarded.site.set_password(next[0]).await?;
        } else {
            guarded.broker.set_password(next[1]).await?;
        }
        guarded.site.stream.send(100).await?;
        let merged = guarded.site.stream.wait_until_all_merged().await;
        merged.with_context(|| writer.output().tail())?;
        writer.wait_until_ready().await?;
        writer.stop().await?;
        check_secrets(&writer.output().lines().join("\n"))?;
        let lines = writer.output().lines();
        ensure!(!lines.iter().any(|line| next.iter().any(|next| line.contains(next))));
        guarded.site.set_password(DATABASE_PASSWORD).await?;
    }
    guarded.site.stream.check_complete().await
}

/// A configuration says everything that is wrong with it, and none of its secrets.
#[tokio::test]
async fn a_bad_configuration_keeps_its_secrets() -> Result<()> {
    let site = Site::create("secrets", "scram-sha-256").await?;
    let missing = text(&site.ground.directory.join("missing.pem"));
    let dsn = format!(
        "host=a user=u password={KAFKA_PASSWORD} sslmode=verify-full sslrootcert={missing}"
    );
    let config = site
        .config()
        .set("database.dsn", dsn)
        .set("kafka.security_protocol", "ssl")
        .set("kafka.username", KAFKA_USER)
        .set("kafka.password", KAFKA_PASSWORD)
        .set("kafka.ca_file", missing.as_str())
        .set("kafka.sasl_mechanism", "GSSAPI");
    let ended = command::check(&site.ground.stack, &config).await?;
    let lines = said(&ended)?;
    assert_eq!(ended.code, Some(64), "{lines}");
    for expected in [
        "names a file for TLS that cannot be used",
        "a file for TLS to Kafka cannot be used",
        "kafka.password has no effect under this kafka.security_protocol",
        "kafka.username has no effect",
        "kafka.sasl_mechanism is \"GSSAPI\"",
    ] {
        ensure!(lines.contains(expected), "no `{expected}` in: {lines}");
    }
    Ok(())
}
