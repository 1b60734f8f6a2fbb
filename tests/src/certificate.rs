//! Certificates of an authority that only a test knows.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509Builder, X509Name, X509NameBuilder,
        extension::{BasicConstraints, KeyUsage, SubjectAlternativeName},
    },
};

use crate::{account, stack::unique};

/// An authority that issues certificates.
pub struct Authority {
    directory: PathBuf,
    key: PKey<Private>,
    certificate: X509,
    file: PathBuf,
}

/// A certificate and its key, in files that servers and writers can read.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Both.
    pub both: PathBuf,
}

impl Authority {
    /// A new one, which keeps its files in `directory`.
    ///
    /// # Errors
    ///
    /// If OpenSSL fails, or the file can't be written.
    pub fn create(directory: &Path, name: &str) -> Result<Self> {
        let key = make_key()?;
        let subject = subject(name)?;
        let mut builder = begin(&subject, &key)?;
        builder.set_issuer_name(&subject)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let certificate = builder.build();
        let file = write(directory, &certificate.to_pem()?)?;
        Ok(Self { directory: directory.to_owned(), key, certificate, file })
    }

    /// Its own certificate, which those that trust it need.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Issues a certificate for a subject's name, and for hosts by name or address.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn issue(&self, name: &str, hosts: &[&str]) -> Result<Certificate> {
        let key = make_key()?;
        let mut builder = begin(&*subject(name)?, &key)?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        if !hosts.is_empty() {
            let mut names = SubjectAlternativeName::new();
            for host in hosts {
                match host.parse::<std::net::IpAddr>() {
                    Ok(_) => names.ip(host),
                    Err(_) => names.dns(host),
                };
            }
            let context = builder.x509v3_context(Some(&self.certificate), None);
            let names = names.build(&context)?;
            builder.append_extension(names)?;
        }
        builder.sign(&self.key, MessageDigest::sha256())?;
        let certificate = builder.build().to_pem()?;
        let key = key.private_key_to_pem_pkcs8()?;
        Ok(Certificate {
            both: write(&self.directory, &[key.clone(), certificate.clone()].concat())?,
            certificate: write(&self.directory, &certificate)?,
            key: write(&self.directory, &key)?,
        })
    }
}

fn make_key() -> Result<PKey<Private>> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
}

fn subject(name: &str) -> Result<X509Name> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

/// What all certificates have.
fn begin(subject: &openssl::x509::X509NameRef, key: &PKey<Private>) -> Result<X509Builder> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(subject)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(2)?)?;
    Ok(builder)
}

/// A file that belongs to the servers' account, and that nobody else reads but root.
fn write(directory: &Path, pem: &[u8]) -> Result<PathBuf> {
    let path = directory.join(format!("{}.pem", unique("certificate")));
    fs::write(&path, pem).with_context(|| format!("write {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    account::hand_over(&path)?;
    Ok(path)
}
