//! How the connections to Kafka are protected, and as whom the writer logs in.

use std::path::PathBuf;

use super::by_file;
use super::reader::Reader;
use super::secret::Secret;
use super::value;
use crate::tls::{Authorities, ClientCertificate, check_files};

/// How the connections to Kafka are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSecurity {
    /// TLS, with certificates that name the brokers' hosts; none: plain text.
    pub tls: Option<KafkaTls>,
    /// The login; none: nobody.
    pub login: Option<KafkaLogin>,
}

/// The files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTls {
    /// Whose certificates are accepted.
    pub authorities: Authorities,
    /// The certificate that is shown.
    pub client: Option<ClientCertificate>,
}

/// A login by SASL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaLogin {
    /// The way to prove that one knows the password.
    pub mechanism: SaslMechanism,
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A way to prove that one knows a password, without giving it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// As Kafka calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

const SECTION: &str = "kafka";

/// Whether a protocol has TLS, and a login.
#[derive(Clone, Copy)]
struct Protocol {
    tls: bool,
    login: bool,
}

const PROTOCOLS: &[(&str, Option<Protocol>)] = &[
    ("plaintext", Some(PLAINTEXT)),
    ("ssl", Some(Protocol { tls: true, login: false })),
    ("sasl_plaintext", Some(Protocol { tls: false, login: true })),
    ("sasl_ssl", Some(Protocol { tls: true, login: true })),
];

const PLAINTEXT: Protocol = Protocol { tls: false, login: false };

const MECHANISMS: &[(&str, SaslMechanism)] =
    &[("SCRAM-SHA-512", SaslMechanism::ScramSha512), ("SCRAM-SHA-256", SaslMechanism::ScramSha256)];

/// Reads it all; none if something is missing.
pub fn security(reader: &mut Reader<'_>) -> Option<KafkaSecurity> {
    // All keys are asked for whatever the protocol is, so that each is known.
    let protocol = protocol(reader);
    let given_tls = read_tls(reader);
    let given_login = read_login(reader, protocol.is_some_and(|protocol| protocol.login));
    let Protocol { tls, login } = protocol?;
    if !tls {
        refuse_useless(reader, &["ca_file", "certificate_file", "key_file"], "ssl or sasl_ssl");
    }
    if !login {
        let keys = ["sasl_mechanism", "username", "password", "password_file"];
        refuse_useless(reader, &keys, "sasl_ssl");
    }
    Some(KafkaSecurity {
        tls: tls.then_some(given_tls),
        login: if login { Some(given_login?) } else { None },
    })
}

/// None: it is a word that is not known.
fn protocol(reader: &mut Reader<'_>) -> Option<Protocol> {
    if reader.setting(SECTION, "security_protocol").is_none() {
        return Some(PLAINTEXT);
    }
    value::choice(reader, SECTION, "security_protocol", PROTOCOLS, None)
}

/// A setting that protects nothing under this protocol: somebody relies on it in vain.
fn refuse_useless(reader: &mut Reader<'_>, keys: &[&'static str], protocols: &str) {
    for key in keys {
        if let Some(setting) = reader.setting(SECTION, key) {
            let message =
                format!("{} has no effect under this kafka.security_protocol", { setting.name });
            let advice = format!("set kafka.security_protocol to {protocols}, or remove it");
            reader.problem(setting.place, message, advice);
        }
    }
}

fn read_tls(reader: &mut Reader<'_>) -> KafkaTls {
    let authorities = match path(reader, "ca_file") {
        Some(path) => Authorities::File(path),
        None => Authorities::System,
    };
    let client = match (path(reader, "certificate_file"), path(reader, "key_file")) {
        (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
        (None, None) => None,
        (certificate, _) => {
            let (given, missing) = match certificate {
                Some(_) => ("certificate_file", "key_file"),
                None => ("key_file", "certificate_file"),
            };
            if let Some(setting) = reader.setting(SECTION, given) {
                let message = format!("{} is given without kafka.{missing}", setting.name);
                reader.problem(setting.place, message, "name the files of both");
            }
            None
        }
    };
    let tls = KafkaTls { authorities, client };
    if let Err(error) = check_files(Some(&tls.authorities), tls.client.as_ref()) {
        let given = ["ca_file", "certificate_file", "key_file"];
        let setting = given.iter().find_map(|key| reader.setting(SECTION, key));
        if let Some(setting) = setting {
            let message = format!("a file for TLS to Kafka cannot be used: {error}");
            let advice = "correct kafka.ca_file, kafka.certificate_file or kafka.key_file";
            reader.problem(setting.place, message, advice);
        }
    }
    tls
}

/// A relative path is relative to the configuration file.
fn path(reader: &mut Reader<'_>, key: &'static str) -> Option<PathBuf> {
    value::text(reader, SECTION, key).map(|path| reader.directory().join(path))
}

fn read_login(reader: &mut Reader<'_>, wanted: bool) -> Option<KafkaLogin> {
    let default = SaslMechanism::ScramSha512;
    let mechanism = value::choice(reader, SECTION, "sasl_mechanism", MECHANISMS, default);
    let username = value::text(reader, SECTION, "username");
    let password = by_file::secret(reader, SECTION, "password", "password_file");
    if wanted {
        if reader.setting(SECTION, "username").is_none() {
            reader.missing(SECTION, "username", "\"…\"");
        }
        if ["password", "password_file"].iter().all(|key| reader.setting(SECTION, key).is_none()) {
            reader.missing(SECTION, "password_file", "\"…\"");
        }
    }
    Some(KafkaLogin { mechanism, username: username?, password: password?.secret })
}
