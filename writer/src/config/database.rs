//! Section `[database]`.

use std::time::Duration;

use super::by_file::{self, Noted};
use super::dsn::Dsn;
use super::problem::Place;
use super::reader::Reader;
use super::value;

/// Where events are merged into.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The primary. Several hosts: the one that takes writes.
    pub dsn: Dsn,
    /// Its replicas, which only `forebay check` looks at.
    pub replicas: Vec<Dsn>,
    /// How long connecting to one host may take, from name look-up over TLS to the login.
    pub connect_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a COMMIT may take by the writer's clock; after that its outcome is unknown.
    pub commit_timeout: Duration,
    /// After how long the server ends a session that is idle inside a transaction.
    pub idle_in_transaction_timeout: Duration,
    /// How long sent data may stay without the peer's acknowledgement.
    pub tcp_user_timeout: Duration,
}

impl DatabaseConfig {
    /// What a command needs that is given a connection string alone: the defaults.
    pub fn new(dsn: Dsn) -> Self {
        Self {
            dsn,
            replicas: Vec::new(),
            connect_timeout: CONNECT_TIMEOUT,
            statement_timeout: STATEMENT_TIMEOUT,
            commit_timeout: COMMIT_TIMEOUT,
            idle_in_transaction_timeout: IDLE_IN_TRANSACTION_TIMEOUT,
            tcp_user_timeout: TCP_USER_TIMEOUT,
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

const SECTION: &str = "database";
const EXAMPLE: &str = "\"host=… port=5432 dbname=… user=…\"";

pub(super) fn database(reader: &mut Reader<'_>) -> Option<DatabaseConfig> {
    let mut dsn = primary(reader);
    let mut replicas = replicas(reader);
    share_password(reader, dsn.as_mut(), replicas.as_deref_mut().unwrap_or_default());
    let mut span = |key, default| value::duration(reader, SECTION, key, default);
    let connect_timeout = span("connect_timeout", CONNECT_TIMEOUT);
    let statement_timeout = span("statement_timeout", STATEMENT_TIMEOUT);
    let commit_timeout = span("commit_timeout", COMMIT_TIMEOUT);
    let idle_in_transaction_timeout =
        span("idle_in_transaction_timeout", IDLE_IN_TRANSACTION_TIMEOUT);
    let tcp_user_timeout = span("tcp_user_timeout", TCP_USER_TIMEOUT);
    Some(DatabaseConfig {
        dsn: dsn?,
        replicas: replicas?,
        connect_timeout,
        statement_timeout,
        commit_timeout,
        idle_in_transaction_timeout,
        tcp_user_timeout,
    })
}

/// From `dsn`, or the file that `dsn_file` names.
fn primary(reader: &mut Reader<'_>) -> Option<Dsn> {
    let given = match by_file::text(reader, SECTION, "dsn", "dsn_file") {
        Ok(Some(given)) => given,
        Ok(None) => {
            reader.missing(SECTION, "dsn", EXAMPLE);
            return None;
        }
        Err(Noted) => return None,
    };
    parse(reader, &given.text, &given.name, given.place)
}

/// Gives the password to the primary, and to the replicas that the same user logs in to; each
/// only if its connection string has none.
fn share_password(reader: &mut Reader<'_>, dsn: Option<&mut Dsn>, replicas: &mut [Dsn]) {
    let given = by_file::secret(reader, SECTION, "password", "password_file");
    let (Some(given), Some(dsn)) = (given, dsn) else { return };
    if dsn.has_password() {
        let message = format!("{} is given, and the connection string has a password", given.name);
        reader.problem(given.place, message, "remove one of them");
        return;
    }
    let user = dsn.parameters().get_user().map(str::to_owned);
    for one in std::iter::once(dsn).chain(replicas) {
        if one.parameters().get_user() == user.as_deref() && !one.has_password() {
            one.set_password(&given.secret);
        }
    }
}

fn replicas(reader: &mut Reader<'_>) -> Option<Vec<Dsn>> {
    let Some(setting) = reader.setting(SECTION, "replicas") else { return Some(Vec::new()) };
    let Some(texts) = setting.value.list() else {
        let message = "database.replicas is not a list of strings";
        reader.problem(setting.place, message, format!("write replicas = [{EXAMPLE}]"));
        return None;
    };
    let mut dsns = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let name = format!("database.replicas[{index}]");
        dsns.push(parse(reader, text, &name, setting.place.clone()));
    }
    dsns.into_iter().collect()
}

pub(super) fn parse(reader: &mut Reader<'_>, text: &str, name: &str, place: Place) -> Option<Dsn> {
    let base = reader.directory();
    match Dsn::parse(text, &base) {
        Ok(dsn) => Some(dsn),
        Err(problems) => {
            for problem in problems {
                let message = format!("{name} {}", problem.message);
                reader.problem(place.clone(), message, problem.advice);
            }
            None
        }
    }
}
