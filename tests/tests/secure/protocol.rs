//! The weaker and the stranger ways, each as its name says.

use anyhow::{Result, ensure};
use forebay_tests::{command, wait};

use crate::site::{GuardedSite, HOST, Site, said, text};

/// Certificates of the writer's own, on both sides, and no password.
#[tokio::test]
async fn a_certificate_is_a_login() -> Result<()> {
    let GuardedSite { mut site, broker } = GuardedSite::create("certificate", "cert").await?;
    let own = site.ground.authority.issue(site.stream.database().writer_role(), &[])?;
    let protection = format!(
        "{} sslcert={} sslkey={}",
        site.verified(),
        own.certificate.display(),
        own.key.display()
    );
    let config = site
        .stream
        .config()
        .set("database.dsn", site.dsn(HOST, &protection))
        .set("kafka.bootstrap_servers", broker.ssl.as_str())
        .set("kafka.security_protocol", "ssl")
        .set("kafka.ca_file", text(site.ground.authority.file()));
    let shown = config
        .clone()
        .set("kafka.certificate_file", text(&own.certificate))
        .set("kafka.key_file", text(&own.key));
    site.run(shown).await?;

    // Without one, neither side lets the writer in.
    let config = config.set("database.dsn", site.dsn(HOST, &site.verified()));
    let checked = command::check(&site.ground.stack, &config).await?;
    let lines = said(&checked)?;
    assert_eq!(checked.code, Some(1), "{lines}");
    for expected in ["problem: broker", "problem: primary", "valid client certificate"] {
        ensure!(lines.contains(expected), "no `{expected}` in: {lines}");
    }
    Ok(())
}

/// `sslmode` as libpq means it, on a server with TLS and one without.
#[tokio::test]
async fn each_sslmode_protects_as_much_as_it_says() -> Result<()> {
    let site = Site::create("sslmode", "scram-sha-256").await?;
    let right = format!("sslrootcert={}", site.ground.authority.file().display());
    let wrong = format!("sslrootcert={}", site.ground.stranger.file().display());
    // The server's certificate is for another host, of an authority that is or is not named.
    let refused = "certificate is refused";
    let cases = [
        ("sslmode=require".to_owned(), None),
        (format!("sslmode=require {right}"), None),
        (format!("sslmode=require {wrong}"), Some(refused)),
        (format!("sslmode=verify-ca {right}"), None),
        (format!("sslmode=verify-ca {wrong}"), Some(refused)),
        (format!("sslmode=verify-full {right}"), Some("must name the host")),
        ("sslmode=verify-full sslrootcert=system".to_owned(), Some("must name the host")),
        ("sslmode=prefer".to_owned(), None),
        (String::new(), None),
        ("sslmode=disable".to_owned(), Some("no encryption")),
    ];
    for (protection, expected) in &cases {
        // The system knows the authority; who names another must not trust the system's.
        let config = site
            .config()
            .set("database.dsn", site.dsn("elsewhere.example", protection))
            .env("SSL_CERT_FILE", &text(site.ground.authority.file()));
        let checked = command::check(&site.ground.stack, &config).await?;
        let lines = said(&checked)?;
        match expected {
            None => assert_eq!(checked.code, Some(0), "{protection}: {lines}"),
            Some(expected) => {
                assert_eq!(checked.code, Some(1), "{protection}: {lines}");
                ensure!(lines.contains(expected), "{protection}: no `{expected}` in: {lines}");
            }
        }
    }

    // Plain text is all that this server takes: only what can do without TLS gets in.
    let plain =
        "host all postgres 127.0.0.1/32 trust\nhostnossl all all 127.0.0.1/32 scram-sha-256";
    let closed = "host all postgres 127.0.0.1/32 trust";
    for (admitted, ssl) in [(plain, "on"), (plain, "off"), (closed, "on")] {
        site.primary.admit(&format!("{admitted}\n"))?;
        site.primary.configure(&format!("ssl = {ssl}\n"))?;
        let client = site.stream.database().primary();
        client.batch_execute("select pg_reload_conf()").await?;
        wait::until("the server to read its configuration", || async move {
            let sql = "select current_setting('ssl'), \
                       (select count(*) from pg_hba_file_rules where type like 'host%')";
            let row = client.query_one(sql, &[]).await?;
            let lines = i64::try_from(admitted.lines().count())?;
            Ok((row.get::<_, &str>(0) == ssl && row.get::<_, i64>(1) == lines).then_some(()))
        })
        .await?;
        for (mode, is_in) in [("disable", true), ("prefer", true), ("require", false)] {
            let dsn = site.dsn(HOST, &format!("sslmode={mode}"));
            let config = site.config().set("database.dsn", dsn);
            let checked = command::check(&site.ground.stack, &config).await?;
            let lines = said(&checked)?;
            let code = if is_in && admitted == plain { 0 } else { 1 };
            assert_eq!(checked.code, Some(code), "{mode} with ssl={ssl}: {lines}");
            if ssl == "off" && !is_in {
                ensure!(lines.contains("server does not support TLS"), "{lines}");
            }
        }
    }
    Ok(())
}
