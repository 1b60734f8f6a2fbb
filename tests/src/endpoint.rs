//! Where a PostgreSQL server is.

use anyhow::{Context, Result, bail, ensure};
use tokio_postgres::{
    Client, Config, NoTls,
    config::{Host, SslMode},
};

/// A server's address, and how its superuser gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its port.
    pub port: u16,
    /// Whether a person named it: it is none of the harness's.
    is_named: bool,
    /// Host, port, user and password. It does not show the last.
    login: Config,
}

/// The superuser of every cluster of the harness.
pub const SUPERUSER: &str = "postgres";

/// What a connection string may say.
const PARAMETERS: &str = "write `host=… port=… user=… password=…`, of which port and password may \
                          be left out; a database can't be chosen, nor TLS";

impl Endpoint {
    /// The host of every server of the harness.
    pub const HOST: &'static str = "127.0.0.1";

    /// A server of the harness, which trusts every login.
    #[must_use]
    pub fn own(port: u16) -> Self {
        let mut login = Config::new();
        login.host(Self::HOST).port(port).user(SUPERUSER);
        Self { port, is_named: false, login }
    }

    /// A server that a person names by a connection string, with a superuser who may log in.
    ///
    /// # Errors
    ///
    /// If it does not say where that is, or says more than can be respected.
    pub fn named(dsn: &str) -> Result<Self> {
        let given: Config = dsn.parse().context(PARAMETERS)?;
        let [Host::Tcp(host)] = given.get_hosts() else { bail!("not one host: {PARAMETERS}") };
        let port = given.get_ports().first().copied().unwrap_or(5432);
        let user = given.get_user().with_context(|| format!("no user: {PARAMETERS}"))?;
        let mut login = Config::new();
        login.host(host).user(user);
        if !given.get_ports().is_empty() {
            login.port(port);
        }
        if let Some(password) = given.get_password() {
            login.password(password);
        }
        login.ssl_mode(given.get_ssl_mode());
        ensure!(given == login, "more parameters than are known: {PARAMETERS}");
        ensure!(given.get_ssl_mode() != SslMode::Require, "TLS is not known: {PARAMETERS}");
        if given.get_ports().is_empty() {
            login.port(port);
        }
        Ok(Self { port, is_named: true, login })
    }

    /// Whether a person named it.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.is_named
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &str {
        match self.login.get_hosts() {
            [Host::Tcp(host)] => host,
            _ => Self::HOST,
        }
    }

    /// Its superuser.
    #[must_use]
    pub fn user(&self) -> &str {
        self.login.get_user().unwrap_or(SUPERUSER)
    }

    /// The superuser's password, if there is one.
    #[must_use]
    pub fn password(&self) -> Option<String> {
        self.login.get_password().map(|password| String::from_utf8_lossy(password).into_owned())
    }

    /// The connection string of a database and a login role, as libpq reads it. It has the
    /// password if the role is the superuser.
    #[must_use]
    pub fn dsn(&self, database: &str, user: &str) -> String {
        let (host, port) = (self.host(), self.port);
        let password = match self.password().filter(|_| user == self.user()) {
            Some(password) => format!(" password={}", quoted(&password)),
            None => String::new(),
        };
        format!("host={host} port={port} dbname={database} user={user}{password}")
    }

    /// [`dsn`](Self::dsn) of the superuser.
    #[must_use]
    pub fn superuser_dsn(&self, database: &str) -> String {
        self.dsn(database, self.user())
    }

    /// A connection as superuser.
    ///
    /// # Errors
    ///
    /// If the server refuses it.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        self.connect_as(database, self.user()).await
    }

    /// A connection as a given role.
    ///
    /// # Errors
    ///
    /// If the server refuses it.
    pub async fn connect_as(&self, database: &str, user: &str) -> Result<Client> {
        let mut login = self.login.clone();
        let connecting =
            login.dbname(database).user(user).application_name("forebay-tests").connect(NoTls);
        let (client, connection) = connecting.await.with_context(|| {
            format!("connect to {database} at {}:{} as {user}", self.host(), self.port)
        })?;
        // It ends with its client; its error reaches the client's next call.
        tokio::spawn(connection);
        Ok(client)
    }
}

/// As a value of a connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn what_a_person_names_is_what_is_connected_to() {
        let server = Endpoint::named(r"host=db.example user=me password='a\'b c'").unwrap();
        let dsn = r"host=db.example port=5432 dbname=d user=me password='a\'b c'";
        assert_eq!((server.dsn("d", "me"), server.port), (dsn.to_owned(), 5432));
        assert_eq!(server.superuser_dsn("d"), dsn);
        assert_eq!(server.dsn("d", "other"), "host=db.example port=5432 dbname=d user=other");
        assert!(!format!("{server:?}").contains("a'b c"));
        let same = r"host=db.example port=5432 user=me password='a\'b c'";
        assert_eq!(Endpoint::named(same).unwrap(), server);
        assert!(server.is_named() && !Endpoint::own(1).is_named());
    }

    #[test]
    fn what_can_not_be_respected_is_refused() {
        for (dsn, message) in [
            ("host=a,b user=me", "not one host"),
            ("host=/run user=me", "not one host"),
            ("user=me", "not one host"),
            ("host=a", "no user"),
            ("host=a user=me dbname=d", "more parameters"),
            ("host=a user=me sslmode=require", "TLS"),
            ("nonsense", "write `host="),
        ] {
            let error = Endpoint::named(dsn).unwrap_err().to_string();
            assert!(error.contains(message), "{dsn}: {error}");
        }
    }
}
