//! Connects to the first host that will do, each within the whole timeout: name look-up, TCP,
//! greeting and the question whether it takes writes.

use tokio::time::timeout;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, NoTls, Socket};

use super::error::DatabaseError;
use crate::config::{DatabaseConfig, Dsn, host_name};
use crate::retry::Place;

/// A client, and the connection that has to be driven for it.
pub type Connected = (Client, Connection<Socket, NoTlsStream>);

/// Connects to the host of the primary's connection string that takes writes.
///
/// # Errors
/// If none does, with what each of them said.
pub async fn primary(config: &DatabaseConfig, name: &str) -> Result<Connected, DatabaseError> {
    let mut dsn = config.dsn.parameters().clone();
    if dsn.get_target_session_attrs() == TargetSessionAttrs::Any {
        dsn.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    connect(&dsn, config, name).await
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
    connect(replica.parameters(), config, name).await
}

async fn connect(
    dsn: &tokio_postgres::Config,
    config: &DatabaseConfig,
    name: &str,
) -> Result<Connected, DatabaseError> {
    let mut sqlstate = None;
    let mut reasons = Vec::new();
    for (host, mut one) in one_by_one(dsn) {
        one.application_name(format!("forebay {name}"));
        one.connect_timeout(config.connect_timeout);
        one.tcp_user_timeout(config.tcp_user_timeout);
        let error = match timeout(config.connect_timeout, one.connect(NoTls)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => DatabaseError::query(Place::Connect, &error),
            Err(_) => DatabaseError::no_answer(Place::Connect, config.connect_timeout),
        };
        sqlstate = error.sqlstate().map(str::to_owned).or(sqlstate);
        reasons.push(format!("{host}: {}", error.message()));
    }
    Err(DatabaseError::unreachable(sqlstate, reasons.join("; ")))
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
            one.ssl_mode(dsn.get_ssl_mode());
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
            let mut shown = String::new();
            match dsn.get_hosts().get(index) {
                Some(host @ Host::Tcp(name)) => {
                    one.host(name);
                    shown = host_name(host);
                }
                Some(host @ Host::Unix(path)) => {
                    one.host_path(path);
                    shown = host_name(host);
                }
                None => {}
            }
            if let Some(address) = dsn.get_hostaddrs().get(index) {
                one.hostaddr(*address);
                if shown.is_empty() {
                    shown = address.to_string();
                }
            }
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
