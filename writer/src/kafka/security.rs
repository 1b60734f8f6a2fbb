//! librdkafka's settings for TLS and login.

use rdkafka::config::ClientConfig;

use crate::config::KafkaSecurity;
use crate::tls::Authorities;

/// Protects a client's connections as `security` says.
pub fn protect(settings: &mut ClientConfig, security: &KafkaSecurity) {
    let protocol = match (&security.tls, &security.login) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    settings.set("security.protocol", protocol);
    if let Some(tls) = &security.tls {
        // The certificate must name the broker's host.
        settings.set("ssl.endpoint.identification.algorithm", "https");
        if let Authorities::File(path) = &tls.authorities {
            settings.set("ssl.ca.location", path.display().to_string());
        }
        if let Some(client) = &tls.client {
            settings.set("ssl.certificate.location", client.certificate.display().to_string());
            settings.set("ssl.key.location", client.key.display().to_string());
        }
    }
    if let Some(login) = &security.login {
        settings.set("sasl.mechanism", login.mechanism.name());
        settings.set("sasl.username", &login.username);
        settings.set("sasl.password", login.password.reveal());
    }
}
