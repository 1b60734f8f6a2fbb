//! Section `[database]`.

use std::path::Path;
use std::time::Duration;

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
    /// How long connecting to one host may take, from name look-up to the server's greeting.
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
    let dsn = primary(reader);
    let replicas = replicas(reader);
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

/// From `dsn`, or the file that `dsn_file` names. A variable wins over what the file gives.
fn primary(reader: &mut Reader<'_>) -> Option<Dsn> {
    let direct = reader.setting(SECTION, "dsn");
    let by_file = reader.setting(SECTION, "dsn_file");
    let chosen = match (direct, by_file) {
        (None, None) => {
            reader.missing(SECTION, "dsn", EXAMPLE);
            return None;
        }
        (Some(direct), Some(by_file)) => match (&direct.place, &by_file.place) {
            (Place::Variable(_), Place::Line { .. }) => Chosen::Direct(direct),
            (Place::Line { .. }, Place::Variable(_)) => Chosen::File(by_file),
            _ => {
                let message = "database.dsn and database.dsn_file are both given";
                reader.problem(by_file.place, message, "remove one of them");
                return None;
            }
        },
        (Some(direct), None) => Chosen::Direct(direct),
        (None, Some(by_file)) => Chosen::File(by_file),
    };
    let (text, place, name) = match chosen {
        Chosen::Direct(setting) => {
            (setting.value.text().map(str::to_owned), setting.place, setting.name)
        }
        Chosen::File(setting) => {
            let path = setting.value.text().map(|path| beside(reader.path(), path));
            let text = match path.map(|path| std::fs::read_to_string(&path).map_err(|e| (path, e)))
            {
                Some(Ok(text)) => Some(text),
                Some(Err((path, error))) => {
                    let message = format!("{} names {}: {error}", setting.name, path.display());
                    reader.problem(setting.place, message, "name a file that the writer can read");
                    return None;
                }
                None => None,
            };
            (text, setting.place, setting.name)
        }
    };
    let Some(text) = text else {
        reader.problem(
            place,
            format!("{name} is not a string"),
            format!("write {name} = {EXAMPLE}"),
        );
        return None;
    };
    parse(reader, &text, &name, place)
}

enum Chosen {
    Direct(super::setting::Setting),
    File(super::setting::Setting),
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

fn parse(reader: &mut Reader<'_>, text: &str, name: &str, place: Place) -> Option<Dsn> {
    match Dsn::parse(text) {
        Ok(dsn) => Some(dsn),
        Err(problem) => {
            reader.problem(place, format!("{name} {}", problem.message), problem.advice);
            None
        }
    }
}

/// A relative path is relative to the configuration file.
fn beside(config: &Path, path: &str) -> std::path::PathBuf {
    config.parent().unwrap_or(Path::new("")).join(path)
}
