//! What a connection string says of TLS, as libpq means it.

use std::path::Path;

use super::{DsnProblem, problem};
use crate::tls::{Authorities, ClientCertificate, check_files};

/// The parameters that this file reads.
pub(super) const NAMES: &[&str] = &["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// How much a connection must be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS if the server has it, and plain text else.
    Prefer,
    /// TLS. With `sslrootcert`, the certificate must be one of those authorities.
    Require,
    /// TLS, and the certificate must be one of the authorities.
    VerifyCa,
    /// TLS, and the certificate must be one of the authorities and name the host.
    VerifyFull,
}

const MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// How a connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseTls {
    /// How much.
    pub mode: SslMode,
    /// Whose certificates are accepted; none: any certificate is.
    pub authorities: Option<Authorities>,
    /// The certificate that is shown.
    pub client: Option<ClientCertificate>,
}

impl DatabaseTls {
    /// Reads the parameters; paths are relative to `base`.
    pub(super) fn read(
        parameters: &[(String, String)],
        base: &Path,
        problems: &mut Vec<DsnProblem>,
    ) -> Self {
        let given = |name| {
            let last = parameters.iter().rfind(|(given, _)| given == name);
            last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let authorities = given("sslrootcert").map(|text| match text {
            "system" => Authorities::System,
            path => Authorities::File(base.join(path)),
        });
        // As in libpq, the system's authorities are for verify-full alone: anybody has a
        // certificate of theirs.
        let default = match authorities {
            Some(Authorities::System) => "verify-full",
            _ => "prefer",
        };
        let word = given("sslmode").unwrap_or(default);
        let mode = MODES.iter().find(|(known, _)| *known == word).map(|(_, mode)| *mode);
        let client = match (given("sslcert"), given("sslkey")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(ClientCertificate { certificate: base.join(certificate), key: base.join(key) })
            }
            _ => {
                problems.push(problem(
                    "has one of sslcert and sslkey, and not the other",
                    "name the files of both the certificate and its key",
                ));
                None
            }
        };
        let Some(mode) = mode else {
            problems.push(problem(
                "has an sslmode that the writer does not know",
                "use disable, prefer, require, verify-ca or verify-full",
            ));
            return Self { mode: SslMode::VerifyFull, authorities, client };
        };
        let tls = Self { mode, authorities, client };
        problems.extend(tls.contradiction());
        problems.extend(tls.bad_file());
        tls
    }

    /// Whether the certificate must name the host.
    pub fn verifies_name(&self) -> bool {
        self.mode == SslMode::VerifyFull
    }

    fn contradiction(&self) -> Option<DsnProblem> {
        match (self.mode, &self.authorities) {
            (SslMode::VerifyCa | SslMode::VerifyFull, None) => Some(problem(
                "verifies the server's certificate, but does not say against which authorities",
                "add sslrootcert=FILE, or sslmode=verify-full sslrootcert=system for those of the \
                 system",
            )),
            (SslMode::VerifyFull, Some(Authorities::System)) => None,
            (_, Some(Authorities::System)) => Some(problem(
                "has a weak sslmode together with sslrootcert=system",
                "use sslmode=verify-full",
            )),
            _ => None,
        }
    }

    fn bad_file(&self) -> Option<DsnProblem> {
        let error = check_files(self.authorities.as_ref(), self.client.as_ref()).err()?;
        Some(problem(
            format!("names a file for TLS that cannot be used: {error}"),
            "correct sslrootcert, sslcert or sslkey; a relative path is relative to the \
             configuration file",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Dsn;
    use super::SslMode;

    fn problems(parameters: &str) -> Vec<String> {
        let parsed = Dsn::parse(&format!("host=a {parameters}"), Path::new("/nowhere"));
        let problems = parsed.err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn reads_the_modes() {
        for (word, mode) in [
            ("", SslMode::Prefer),
            ("sslmode=disable", SslMode::Disable),
            ("sslmode=prefer", SslMode::Prefer),
            ("sslmode=require", SslMode::Require),
            ("sslmode=verify-full sslrootcert=system", SslMode::VerifyFull),
            ("sslrootcert=system", SslMode::VerifyFull),
        ] {
            let dsn = Dsn::parse(&format!("host=a {word}"), Path::new("")).unwrap();
            assert_eq!(dsn.tls().mode, mode, "{word}");
        }
    }

    #[test]
    fn refuses_what_would_not_protect() {
        for (parameters, expected) in [
            ("sslmode=allow", "has an sslmode"),
            ("sslmode=verify-ca", "does not say against which authorities"),
            ("sslmode=verify-full", "does not say against which authorities"),
            ("sslmode=verify-ca sslrootcert=system", "weak sslmode"),
            ("sslmode=require sslcert=c.pem", "and not the other"),
            ("sslmode=verify-full sslrootcert=ca.pem", "/nowhere/ca.pem cannot be read"),
            ("sslnegotiation=direct", "sslnegotiation"),
            ("sslcrl=crl.pem", "parameter `sslcrl`"),
        ] {
            let found = problems(parameters);
            assert!(found.len() == 1 && found[0].contains(expected), "{parameters}: {found:?}");
        }
        assert_eq!(problems("sslmode=allow sslkey=k").len(), 2);
    }
}
