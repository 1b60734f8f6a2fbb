//! A server with TLS and passwords.

use std::fs;

use anyhow::{Context, Result};

use super::Postgres;
use crate::{
    certificate::{Authority, Certificate},
    endpoint::SUPERUSER,
};

impl Postgres {
    /// Lets nobody in any more but the superuser, with whom the harness works, and those that come
    /// by TLS and log in by `method`, such as `scram-sha-256` or `cert`. The server shows
    /// `certificate`, and knows the clients' certificates of `authority`.
    ///
    /// # Errors
    ///
    /// If it does not start again.
    pub async fn secure(
        &mut self,
        certificate: &Certificate,
        authority: &Authority,
        method: &str,
    ) -> Result<()> {
        self.configure(&format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nssl_ca_file = '{}'\n",
            certificate.certificate.display(),
            certificate.key.display(),
            authority.file().display(),
        ))?;
        self.admit(&format!(
            "host all {SUPERUSER} 127.0.0.1/32 trust\n\
             host replication {SUPERUSER} 127.0.0.1/32 trust\n\
             hostssl all all 127.0.0.1/32 {method}\n"
        ))?;
        self.restart().await
    }

    /// Writes `pg_hba.conf`: who is let in, from the next start or a reload on.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn admit(&self, lines: &str) -> Result<()> {
        let path = self.directory().join("pg_hba.conf");
        fs::write(&path, lines).with_context(|| format!("write {}", path.display()))
    }
}
