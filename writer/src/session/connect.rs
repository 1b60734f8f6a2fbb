//! Connects to the first host that will do, each within the whole timeout: name look-up, TCP, TLS,
//! login and the question whether it takes writes.

use std::error::Error as _;

use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Connection, Socket};

use super::error::DatabaseError;
use super::tls::{HandshakeError, Tls, TlsStream};
use crate::config::{DatabaseConfig, DatabaseTls, Dsn, host_name};
use crate::retry::Place;

/// A client, and the connection that has to be driven for it.
pub type Connected = (Client, Connection<Socket, TlsStream>);

/// Connects to the host of the primary's connection string that takes writes.
///
/// # Errors
/// If none does, with what each of them said.
pub async fn primary(config: &DatabaseConfig, name: &str) -> Result<Connected, DatabaseError> {
    let mut dsn = config.dsn.parameters().clone();
    if dsn.get_target_session_attrs() == TargetSessionAttrs::Any {
        dsn.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    connect(&dsn, config.dsn.tls(), config, name).await
}

/// Connects to a replica.
///
/// # Errors
/// As [`primary`].
pub async fn replica(
    replica: &Dsn,
    config: &DatabaseConfig,
    name: &str,
) -> Result<Connected, DatabaseError> {
    connect(replica.parameters(), replica.tls(), config, name).await
}

async fn connect(
    dsn: &tokio_postgres::Config,
    tls: &DatabaseTls,
    config: &DatabaseConfig,
    name: &str,
) -> Result<Connected, DatabaseError> {
    let tls = Tls::new(tls).map_err(|error| DatabaseError::unreachable(None, error.to_string()))?;
    let mut sqlstate = None;
    let mut reasons = Vec::new();
    for (host, mut one) in one_by_one(dsn) {
        one.application_name(format!("forebay {name}"));
        one.connect_timeout(config.connect_timeout);
        one.tcp_user_timeout(config.tcp_user_timeout);
        let error = match timeout(config.connect_timeout, reach(one, &tls)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => DatabaseError::query(Place::Connect, &error),
            Err(_) => DatabaseError::no_answer(Place::Connect, config.connect_timeout),
        };
        sqlstate = error.sqlstate().map(str::to_owned).or(sqlstate);
        reasons.push(format!("{host}: {}", error.message()));
    }
    Err(DatabaseError::unreachable(sqlstate, reasons.join("; ")))
}

/// Connects to one host. As in libpq, a connection that only prefers TLS is tried without it when
/// the host's TLS does not work, or the host lets nobody in by it.
async fn reach(
    mut one: tokio_postgres::Config,
    tls: &Tls,
) -> Result<Connected, tokio_postgres::Error> {
    let connected = one.connect(tls.clone()).await;
    match connected {
        Err(error) if one.get_ssl_mode() == SslMode::Prefer && is_by_tls(&error) => {
            one.ssl_mode(SslMode::Disable);
            one.connect(tls.clone()).await
        }
        connected => connected,
    }
}

fn is_by_tls(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
        || error.source().is_some_and(|cause| cause.is::<HandshakeError>())
}

/// One configuration per host, so that one that hangs doesn't use up the others' time.
fn one_by_one(dsn: &tokio_postgres::Config) -> Vec<(String, tokio_postgres::Config)> {
    let count = dsn.get_hosts().len().max(dsn.get_hostaddrs().len());
    let ports = dsn.get_ports();
    (0..count)
        .map(|index| {
            let mut one = tokio_postgres::Config::new();
            if let Some(user) = dsn.get_user() {
                one.user(user);
            }
            if let Some(password) = dsn.get_password() {
                one.password(password);
            }
            if let Some(name) = dsn.get_dbname() {
                one.dbname(name);
            }
            if let Some(options) = dsn.get_options() {
                one.options(options);
            }
            one.channel_binding(dsn.get_channel_binding());
            one.target_session_attrs(dsn.get_target_session_attrs());
            one.keepalives(dsn.get_keepalives());
            one.keepalives_idle(dsn.get_keepalives_idle());
            if let Some(interval) = dsn.get_keepalives_interval() {
                one.keepalives_interval(interval);
            }
            if let Some(retries) = dsn.get_keepalives_retries() {
                one.keepalives_retries(retries);
            }
            let address = dsn.get_hostaddrs().get(index);
            // TLS is for a name: without one, the address is the name.
            let named = address.map(|address| Host::Tcp(address.to_string()));
            let host = dsn.get_hosts().get(index).cloned().or(named);
            // There is no TLS over a Unix socket, and libpq does not ask for it there.
            one.ssl_mode(match host {
                Some(Host::Unix(_)) => SslMode::Disable,
                _ => dsn.get_ssl_mode(),
            });
            match &host {
                Some(Host::Tcp(name)) => one.host(name),
                Some(Host::Unix(path)) => one.host_path(path),
                None => &mut one,
            };
            if let Some(address) = address {
                one.hostaddr(*address);
            }
            let shown = host.as_ref().map(host_name).unwrap_or_default();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            one.port(port);
            (format!("{shown}:{port}"), one)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::one_by_one;

    #[test]
    fn pairs_hosts_with_ports() {
        let dsn = "host=a,b port=1,2 user=u password=p dbname=d".parse().unwrap();
        let shown: Vec<_> = one_by_one(&dsn).into_iter().map(|(host, _)| host).collect();
        assert_eq!(shown, ["a:1", "b:2"]);
        let dsn = "host=a,b port=7 user=u".parse().unwrap();
        let all = one_by_one(&dsn);
        assert_eq!(all[1].0, "b:7");
        assert_eq!(all[1].1.get_hosts().len(), 1);
    }
}
