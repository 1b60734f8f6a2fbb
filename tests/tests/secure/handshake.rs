//! Servers that accept and do not go on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use forebay_tests::{command, endpoint::Endpoint};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::site::{HOST, Site, said};

/// Where a server falls silent.
#[derive(Clone, Copy, Debug)]
enum Silent {
    /// It does not even say whether it has TLS.
    AtOnce,
    /// It has TLS, it says, and no more.
    InTheHandshake,
}

/// Listens, and keeps every connection open.
async fn listen(silent: Silent) -> Result<u16> {
    let listener = TcpListener::bind((Endpoint::HOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Silent::InTheHandshake = silent {
                let mut request = [0; 8];
                // A client that is gone already is none to keep.
                if stream.read_exact(&mut request).await.is_err()
                    || stream.write_all(b"S").await.is_err()
                {
                    continue;
                }
            }
            kept.push(stream);
        }
    });
    Ok(port)
}

/// The time for connecting covers TLS and login, and one host does not use up the others'.
#[tokio::test]
async fn a_silent_server_is_given_up() -> Result<()> {
    let site = Site::create("silent", "scram-sha-256").await?;
    let database = site.stream.database();
    for silent in [Silent::AtOnce, Silent::InTheHandshake] {
        let port = listen(silent).await?;
        let dsn = |hosts: &str, addresses: &str, ports: &str| {
            format!(
                "host={hosts} hostaddr={addresses} port={ports} dbname={} user={} {}",
                database.name(),
                database.writer_role(),
                site.verified()
            )
        };
        let config = site.config().set("database.connect_timeout", "700ms");
        let alone = config.clone().set("database.dsn", dsn(HOST, "127.0.0.1", &port.to_string()));
        let start = Instant::now();
        let checked = command::check(&site.ground.stack, &alone).await?;
        let lines = said(&checked)?;
        ensure!(lines.contains("no answer within 700ms"), "{silent:?}: {lines}");
        ensure!(start.elapsed() >= Duration::from_millis(700), "{silent:?}: too early");

        let ports = format!("{port},{}", site.primary.endpoint().port);
        let hosts = format!("{HOST},{HOST}");
        let both = config.set("database.dsn", dsn(&hosts, "127.0.0.1,127.0.0.1", &ports));
        let checked = command::check(&site.ground.stack, &both).await?;
        assert_eq!(checked.code, Some(0), "{silent:?}: {}", said(&checked)?);
    }
    Ok(())
}
