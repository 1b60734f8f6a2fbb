//! TLS to the database: postgres-openssl, with errors that say what is wrong.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use openssl::error::ErrorStack;
use openssl::ssl::{self, SslConnector, SslVerifyMode};
use openssl::x509::X509VerifyResult;
use postgres_openssl::TlsConnector;
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use crate::config::DatabaseTls;
use crate::tls::{Authorities, TlsError, connector};

/// An encrypted connection.
pub type TlsStream = postgres_openssl::TlsStream<Socket>;

/// Makes connections encrypted, as a connection string asks for it.
#[derive(Clone)]
pub struct Tls {
    connector: SslConnector,
    verify: SslVerifyMode,
    verifies_name: bool,
}

impl Tls {
    /// Reads the files that `config` names.
    ///
    /// # Errors
    /// If one of them can't be used.
    pub fn new(config: &DatabaseTls) -> Result<Self, TlsError> {
        let connector = match (&config.authorities, &config.client) {
            (None, None) => unverified()?,
            (authorities, client) => {
                let authorities = authorities.as_ref().unwrap_or(&Authorities::System);
                connector(authorities, client.as_ref())?.build()
            }
        };
        let verify = match config.authorities {
            Some(_) => SslVerifyMode::PEER,
            None => SslVerifyMode::NONE,
        };
        Ok(Self { connector, verify, verifies_name: config.verifies_name() })
    }
}

/// A connector for connections that verify nothing. It is made once: no file has a say, but the library
/// reads all of the system's authorities for it, which takes 20 ms.
fn unverified() -> Result<SslConnector, TlsError> {
    static UNVERIFIED: OnceLock<SslConnector> = OnceLock::new();
    if let Some(made) = UNVERIFIED.get() {
        return Ok(made.clone());
    }
    let made = connector(&Authorities::System, None)?.build();
    Ok(UNVERIFIED.get_or_init(|| made).clone())
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = TlsStream;
    type TlsConnect = Handshake;
    type Error = ErrorStack;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, ErrorStack> {
        let mut ssl = self.connector.configure()?;
        ssl.set_verify_hostname(self.verifies_name);
        let refusal = Arc::new(OnceLock::new());
        if self.verify == SslVerifyMode::NONE {
            ssl.set_verify(self.verify);
        } else {
            let noted = refusal.clone();
            ssl.set_verify_callback(self.verify, move |accepted, context| {
                if !accepted {
                    noted.get_or_init(|| context.error());
                }
                accepted
            });
        }
        Ok(Handshake { connector: TlsConnector::new(ssl, host), refusal })
    }
}

/// One handshake.
pub struct Handshake {
    connector: TlsConnector,
    /// Why the server's certificate was refused.
    refusal: Arc<OnceLock<X509VerifyResult>>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = TlsStream;
    type Error = HandshakeError;
    type Future = Pin<Box<dyn Future<Output = Result<TlsStream, HandshakeError>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let connected = self.connector.connect(stream).await;
            connected.map_err(|error| match self.refusal.get() {
                Some(reason) => HandshakeError::Certificate(*reason),
                None => HandshakeError::Other(reason(&*error)),
            })
        })
    }
}

/// Why there is no encrypted connection, though the server has TLS.
#[derive(Debug)]
pub enum HandshakeError {
    /// The server does not show who it is.
    Certificate(X509VerifyResult),
    /// Anything else.
    Other(String),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(reason) => {
                write!(f, "the server's certificate is refused: {reason}; {}", advice(*reason))
            }
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl Error for HandshakeError {}

/// What to do about a certificate. The numbers are OpenSSL's (`X509_V_ERR_…`).
fn advice(reason: X509VerifyResult) -> &'static str {
    const NOT_YET_VALID: i32 = 9;
    const EXPIRED: i32 = 10;
    const OTHER_HOST: i32 = 62;
    const OTHER_ADDRESS: i32 = 64;
    match reason.as_raw() {
        NOT_YET_VALID | EXPIRED => "renew it, or correct the clock",
        OTHER_HOST | OTHER_ADDRESS => {
            "it must name the host of the connection string: correct one of them"
        }
        _ => "sslrootcert must have the authority that issued it",
    }
}

/// OpenSSL's own words, without the places in its source.
fn reason(error: &(dyn Error + 'static)) -> String {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<ssl::Error>());
    let stack = cause.and_then(ssl::Error::ssl_error);
    let words = stack.and_then(|stack| stack.errors().last()?.reason().map(str::to_owned));
    words.unwrap_or_else(|| error.to_string())
}
