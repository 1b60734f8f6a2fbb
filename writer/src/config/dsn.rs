//! Connection strings. They hold passwords, so they show themselves as hosts and database only.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};

/// tokio-postgres's default time before the first keepalive, which stands for "not set".
const UNSET_KEEPALIVE_IDLE: Duration = Duration::from_secs(2 * 60 * 60);

/// Parameters of libpq that may be named in a message without giving anything away.
const NAMEABLE: &[&str] = &[
    "channel_binding",
    "client_encoding",
    "gssencmode",
    "hostaddr",
    "krbsrvname",
    "passfile",
    "port",
    "service",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "ssl_min_protocol_version",
    "target_session_attrs",
];

/// The connection string of a primary or a replica.
#[derive(Clone)]
pub struct Dsn(tokio_postgres::Config);

/// Why a connection string is refused: what it is, and what to do. Without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsnProblem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl Dsn {
    /// Reads `host=… port=… dbname=… user=…` or a `postgresql://` URL.
    pub fn parse(text: &str) -> Result<Self, DsnProblem> {
        let mut config: tokio_postgres::Config = text.trim().parse().map_err(explain)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(no_tls());
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(problem(
                "names no host",
                "add host=… (several, with commas, for failover)",
            ));
        }
        if config.get_keepalives_idle() == UNSET_KEEPALIVE_IDLE {
            config.keepalives_idle(Duration::from_secs(5));
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(Duration::from_secs(2));
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(3);
        }
        Ok(Self(config))
    }

    /// The parameters, for connecting.
    pub fn parameters(&self) -> &tokio_postgres::Config {
        &self.0
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = if self.0.get_hosts().is_empty() {
            self.0.get_hostaddrs().iter().map(ToString::to_string).collect()
        } else {
            self.0.get_hosts().iter().map(host_name).collect()
        };
        let port = |index: usize| {
            self.0.get_ports().get(index).or(self.0.get_ports().first()).copied().unwrap_or(5432)
        };
        for (index, host) in hosts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{host}:{}", port(index))?;
        }
        write!(f, "/{}", self.0.get_dbname().or(self.0.get_user()).unwrap_or_default())
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

/// The name of a host as a person would write it.
pub fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

fn problem(message: impl Into<String>, advice: impl Into<String>) -> DsnProblem {
    DsnProblem { message: message.into(), advice: advice.into() }
}

fn no_tls() -> DsnProblem {
    problem(
        "asks for TLS to the database, which this version of the writer does not have",
        "use sslmode=prefer or sslmode=disable over a network that you trust",
    )
}

/// The parser's words name an option: repeated only if it can't be a piece of a password.
fn explain(error: tokio_postgres::Error) -> DsnProblem {
    let detail = error.source().map(ToString::to_string).unwrap_or_default();
    let option = detail.split('`').nth(1).filter(|option| NAMEABLE.contains(option));
    match option {
        Some("sslmode" | "sslrootcert" | "sslcert" | "sslkey" | "sslcrl") => no_tls(),
        Some(option) => problem(
            format!("has a parameter `{option}` that the writer does not understand"),
            "correct or remove it",
        ),
        None => problem(
            "is not a connection string",
            "write host=… port=… dbname=… user=…, with ' around values that hold spaces, or a \
             postgresql:// URL",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Dsn;

    #[test]
    fn shows_no_password() {
        let dsn = Dsn::parse("host=a,b port=1,2 dbname=d user=u password=hunter2").unwrap();
        assert_eq!(dsn.to_string(), "a:1,b:2/d");
        assert!(!format!("{dsn:?}").contains("hunter2"));
    }

    #[test]
    fn refuses_tls_in_words() {
        for mode in ["require", "verify-full"] {
            let problem = Dsn::parse(&format!("host=a sslmode={mode}")).unwrap_err();
            assert!(problem.message.contains("TLS"), "{problem:?}");
        }
        assert!(Dsn::parse("host=a sslmode=prefer").is_ok());
    }

    #[test]
    fn repeats_no_piece_of_a_password() {
        let problem = Dsn::parse("host=a password=hun ter2=x").unwrap_err();
        assert!(!format!("{problem:?}").contains("ter2"));
        assert!(Dsn::parse("dbname=a").unwrap_err().message.contains("no host"));
    }
}
