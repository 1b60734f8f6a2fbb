//! The files of TLS: whose certificates are accepted, and which certificate is shown.
//!
//! They are read at every use, so that a certificate can be renewed under a running writer.

use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

/// Whose certificates are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// Those that the system knows.
    System,
    /// Those in this file, and no others.
    File(PathBuf),
}

/// A certificate that the writer shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The file of the certificate, with those that lead to its authority after it.
    pub certificate: PathBuf,
    /// The file of its private key, not encrypted.
    pub key: PathBuf,
}

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not there, or not to be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is something else.
    #[error("{} holds no {what} in PEM", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was looked for in it.
        what: &'static str,
    },
    /// A certificate with another's key.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    OtherKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The library refuses.
    #[error("OpenSSL: {0}")]
    Library(#[from] ErrorStack),
}

/// A connector, TLS 1.2 and up, that trusts `authorities` and shows `client`.
///
/// # Errors
/// If a file can't be used.
pub fn connector(
    authorities: &Authorities,
    client: Option<&ClientCertificate>,
) -> Result<SslConnectorBuilder, TlsError> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    if let Authorities::File(path) = authorities {
        // In place of the system's, which the builder begins with.
        let mut store = X509StoreBuilder::new()?;
        for certificate in certificates(path)? {
            store.add_cert(certificate)?;
        }
        builder.set_cert_store(store.build());
    }
    if let Some(client) = client {
        show(&mut builder, client)?;
    }
    Ok(builder)
}

/// Whether the files that are named can be used. The system's are not looked at.
///
/// # Errors
/// If one can't.
pub fn check_files(
    authorities: Option<&Authorities>,
    client: Option<&ClientCertificate>,
) -> Result<(), TlsError> {
    match (authorities, client) {
        (None | Some(Authorities::System), None) => Ok(()),
        (authorities, client) => {
            connector(authorities.unwrap_or(&Authorities::System), client).map(drop)
        }
    }
}

fn show(builder: &mut SslConnectorBuilder, client: &ClientCertificate) -> Result<(), TlsError> {
    let mut chain = certificates(&client.certificate)?.into_iter();
    if let Some(own) = chain.next() {
        builder.set_certificate(&own)?;
    }
    for certificate in chain {
        builder.add_extra_chain_cert(certificate)?;
    }
    let other_key =
        |_| TlsError::OtherKey { certificate: client.certificate.clone(), key: client.key.clone() };
    builder.set_private_key(&*private_key(&client.key)?).map_err(other_key)?;
    builder.check_private_key().map_err(other_key)
}

/// At least one.
fn certificates(path: &Path) -> Result<Vec<X509>, TlsError> {
    let found = X509::stack_from_pem(&read(path)?).unwrap_or_default();
    if found.is_empty() {
        return Err(TlsError::Content { path: path.to_owned(), what: "certificate" });
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PKey<Private>, TlsError> {
    // Without a callback, OpenSSL asks the terminal for the password of an encrypted one.
    let no_password = |_: &mut [u8]| Ok(0);
    PKey::private_key_from_pem_callback(&read(path)?, no_password).map_err(|_| TlsError::Content {
        path: path.to_owned(),
        what: "private key without a password",
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), error })
}
