//! A broker with TLS and passwords.

use std::path::Path;

use anyhow::Result;

use super::{Broker, Ports};
use crate::{
    certificate::{Authority, Certificate},
    endpoint::Endpoint,
    port, process,
};

/// What a broker's listeners need but the plain one.
pub struct Security<'a> {
    /// What the broker shows.
    pub certificate: &'a Certificate,
    /// What it shows on a listener of its own, for a test of names.
    pub misnamed: &'a Certificate,
    /// Whose clients' certificates are accepted.
    pub authority: &'a Authority,
    /// The user that may log in.
    pub username: &'a str,
    /// The user's password.
    pub password: &'a str,
}

/// A broker that listens in several ways at once.
#[derive(Debug)]
pub struct SecureBroker {
    /// The broker. Its own bootstrap servers are in plain text, for the harness.
    pub broker: Broker,
    /// TLS, and a login by SCRAM.
    pub sasl_ssl: String,
    /// The same, with a certificate for other hosts.
    pub misnamed: String,
    /// TLS, and a client's certificate.
    pub ssl: String,
    /// A login by SCRAM, in plain text.
    pub sasl_plaintext: String,
    username: String,
}

impl SecureBroker {
    /// Makes a new one-node cluster, and starts it.
    ///
    /// # Errors
    ///
    /// If it does not come up: with the end of its log.
    pub async fn create(scratch: &Path, name: &str, security: &Security<'_>) -> Result<Self> {
        let ports = Ports::free()?;
        let address = || Ok::<_, anyhow::Error>(format!("{}:{}", Endpoint::HOST, port::free()?));
        let (sasl_ssl, misnamed, ssl, sasl_plaintext) =
            (address()?, address()?, address()?, address()?);
        let listeners = format!(
            "{},SASL_SSL://{sasl_ssl},MISNAMED://{misnamed},SSL://{ssl},\
             SASL_PLAINTEXT://{sasl_plaintext}",
            ports.listeners(),
        );
        let (own, other) = (&security.certificate.both, &security.misnamed.both);
        let mut settings = vec![
            ("listeners".to_owned(), listeners),
            (
                "listener.security.protocol.map".to_owned(),
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,MISNAMED:SASL_SSL,\
                 SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"
                    .to_owned(),
            ),
            ("sasl.enabled.mechanisms".to_owned(), MECHANISMS.join(",")),
            ("ssl.keystore.type".to_owned(), "PEM".to_owned()),
            ("ssl.keystore.location".to_owned(), own.display().to_string()),
            ("listener.name.misnamed.ssl.keystore.type".to_owned(), "PEM".to_owned()),
            (
                "listener.name.misnamed.ssl.keystore.location".to_owned(),
                other.display().to_string(),
            ),
            ("ssl.truststore.type".to_owned(), "PEM".to_owned()),
            ("ssl.truststore.location".to_owned(), security.authority.file().display().to_string()),
            ("listener.name.ssl.ssl.client.auth".to_owned(), "required".to_owned()),
        ];
        let mut users = Vec::new();
        let Security { username, password, .. } = security;
        for mechanism in MECHANISMS {
            users.push("--add-scram".to_owned());
            users.push(format!("{mechanism}=[name={username},password={password}]"));
            for listener in ["sasl_ssl", "misnamed", "sasl_plaintext"] {
                let mechanism = mechanism.to_lowercase();
                settings.push((
                    format!("listener.name.{listener}.{mechanism}.sasl.jaas.config"),
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
                ));
            }
        }
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let broker = Broker::begin(scratch, name, ports, &settings, &users).await?;
        let username = (*username).to_owned();
        Ok(Self { broker, sasl_ssl, misnamed, ssl, sasl_plaintext, username })
    }

    /// Gives the user another password for SCRAM-SHA-512.
    ///
    /// # Errors
    ///
    /// If the broker refuses it.
    pub async fn set_password(&self, password: &str) -> Result<()> {
        let mut command = self.broker.java("kafka.admin.ConfigCommand")?;
        command.args(["--bootstrap-server", &self.broker.bootstrap_servers(), "--alter"]);
        command.args(["--add-config", &format!("SCRAM-SHA-512=[password={password}]")]);
        command.args(["--entity-type", "users", "--entity-name", &self.username]);
        let run = move || process::run("set a user's password", command);
        tokio::task::spawn_blocking(run).await?.map(drop)
    }
}

const MECHANISMS: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
