//! Connection strings. They hold passwords, so they show themselves as hosts and database only.

mod parameter;
mod tls;

use std::error::Error as _;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::config::{Host, SslNegotiation};

use super::secret::Secret;

pub use tls::{DatabaseTls, SslMode};

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
    "require_auth",
    "service",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "target_session_attrs",
];

/// The connection string of a primary or a replica.
#[derive(Clone)]
pub struct Dsn {
    parameters: tokio_postgres::Config,
    tls: DatabaseTls,
}

/// Why a connection string is refused: what it is, and what to do. Without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsnProblem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl Dsn {
    /// Reads `host=… port=… dbname=… user=…` or a `postgresql://` URL. Files that it names are
    /// relative to `base`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Vec<DsnProblem>> {
        let (rest, found) = parameter::take(text.trim(), tls::NAMES);
        let mut problems = Vec::new();
        let tls = DatabaseTls::read(&found, base, &mut problems);
        let mut config: tokio_postgres::Config = match rest.parse() {
            Ok(config) => config,
            Err(error) => {
                problems.push(explain(error));
                return Err(problems);
            }
        };
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            let advice = "add host=… (several, with commas, for failover)";
            problems.push(problem("names no host", advice));
        }
        if config.get_ssl_negotiation() == SslNegotiation::Direct {
            let message = "asks for sslnegotiation=direct, which the writer does not have";
            problems.push(problem(message, "remove it"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        config.ssl_mode(match tls.mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            _ => tokio_postgres::config::SslMode::Require,
        });
        if config.get_keepalives_idle() == UNSET_KEEPALIVE_IDLE {
            config.keepalives_idle(Duration::from_secs(5));
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(Duration::from_secs(2));
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(3);
        }
        Ok(Self { parameters: config, tls })
    }

    /// How its connections are protected.
    pub fn tls(&self) -> &DatabaseTls {
        &self.tls
    }

    /// Whether it has a password.
    pub fn has_password(&self) -> bool {
        self.parameters.get_password().is_some()
    }

    /// Gives it a password.
    pub fn set_password(&mut self, password: &Secret) {
        self.parameters.password(password.reveal());
    }

    /// The parameters, for connecting.
    pub fn parameters(&self) -> &tokio_postgres::Config {
        &self.parameters
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = if self.parameters.get_hosts().is_empty() {
            self.parameters.get_hostaddrs().iter().map(ToString::to_string).collect()
        } else {
            self.parameters.get_hosts().iter().map(host_name).collect()
        };
        let port = |index: usize| {
            self.parameters
                .get_ports()
                .get(index)
                .or(self.parameters.get_ports().first())
                .copied()
                .unwrap_or(5432)
        };
        for (index, host) in hosts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{host}:{}", port(index))?;
        }
        write!(
            f,
            "/{}",
            self.parameters.get_dbname().or(self.parameters.get_user()).unwrap_or_default()
        )
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

/// The parser's words name an option: repeated only if it can't be a piece of a password.
fn explain(error: tokio_postgres::Error) -> DsnProblem {
    let detail = error.source().map(ToString::to_string).unwrap_or_default();
    let option = detail.split('`').nth(1).filter(|option| NAMEABLE.contains(option));
    match option {
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
    use std::path::Path;

    use super::Dsn;

    #[test]
    fn shows_no_password() {
        let text = "host=a,b port=1,2 dbname=d user=u password=hunter2";
        let dsn = Dsn::parse(text, Path::new("")).unwrap();
        assert_eq!(dsn.to_string(), "a:1,b:2/d");
        assert!(!format!("{dsn:?}").contains("hunter2"));
    }

    #[test]
    fn repeats_no_piece_of_a_password() {
        let problems = Dsn::parse("host=a password=hun ter2=x", Path::new("")).unwrap_err();
        assert!(!format!("{problems:?}").contains("ter2"));
        let problems = Dsn::parse("dbname=a", Path::new("")).unwrap_err();
        assert!(problems[0].message.contains("no host"));
    }
}
