//! A session on the database: connected within a bound, watched, every answer waited for within a
//! bound.
//!
//! A claim belongs to one session. When it is lost, nothing of it is used again.

mod connect;
mod error;
mod tls;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket, Statement};
use tracing::{debug, warn};

use crate::config::{DatabaseConfig, Dsn};
use crate::retry::Place;

pub use error::DatabaseError;

use connect::Connected;
use tls::TlsStream;

/// How much longer than the server's own timeout the writer waits for an answer.
const GRACE: Duration = Duration::from_secs(5);

/// The server, too, must notice a dead peer in seconds: its session owns partitions.
const KEEPALIVES: &str = "set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; \
                          set tcp_keepalives_count = 3";

/// One connection to the primary. Dropping it cuts the connection.
pub struct Session {
    client: Client,
    task: AbortHandle,
    warnings: Arc<AtomicU64>,
    ended: watch::Receiver<Option<Arc<DatabaseError>>>,
    statements: Mutex<HashMap<String, Statement>>,
    statement_timeout: Duration,
    commit_timeout: Duration,
}

/// How a COMMIT ended.
#[derive(Debug)]
pub enum Commit {
    /// It is committed.
    Done,
    /// The server answered that it is, with a warning that it may not be so on a replica.
    Unknown,
}

impl Session {
    /// Connects to the host that takes writes.
    ///
    /// # Errors
    /// If no host does, with what each of them said.
    pub async fn connect(config: &DatabaseConfig, name: &str) -> Result<Self, DatabaseError> {
        let connected = connect::primary(config, name).await?;
        Self::set_up(connected, config).await
    }

    /// Connects to a replica, to look at it.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_replica(
        replica: &Dsn,
        config: &DatabaseConfig,
        name: &str,
    ) -> Result<Self, DatabaseError> {
        let connected = connect::replica(replica, config, name).await?;
        Self::set_up(connected, config).await
    }

    async fn set_up(
        (client, connection): Connected,
        config: &DatabaseConfig,
    ) -> Result<Self, DatabaseError> {
        let warnings = Arc::new(AtomicU64::new(0));
        let (end, ended) = watch::channel(None);
        let task = tokio::spawn(drive(connection, warnings.clone(), end)).abort_handle();
        let session = Self {
            client,
            task,
            warnings,
            ended,
            statements: Mutex::default(),
            statement_timeout: config.statement_timeout,
            commit_timeout: config.commit_timeout,
        };
        let settings = format!(
            "set statement_timeout = {}; set idle_in_transaction_session_timeout = {}; \
             set client_min_messages = warning; set search_path = pg_catalog, pg_temp; {KEEPALIVES}",
            config.statement_timeout.as_millis(),
            config.idle_in_transaction_timeout.as_millis(),
        );
        session.within(Place::Connect, session.client.batch_execute(&settings)).await?;
        Ok(session)
    }

    /// The client, for calls that go through [`within`](Self::within).
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for an answer, but not much longer than the server may take for a statement. If none
    /// comes, the connection is cut.
    ///
    /// # Errors
    /// What the server said, or why it said nothing.
    pub async fn within<T>(
        &self,
        place: Place,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DatabaseError> {
        self.bounded(place, self.statement_timeout + GRACE, answer).await
    }

    /// Prepares a statement once per session.
    ///
    /// # Errors
    /// As [`within`](Self::within).
    pub async fn statement(&self, place: Place, sql: &str) -> Result<Statement, DatabaseError> {
        if let Some(statement) = self.statements().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.within(place, self.client.prepare(sql)).await?;
        self.statements().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Rolls the open transaction back.
    ///
    /// # Errors
    /// As [`within`](Self::within).
    pub async fn roll_back(&self, place: Place) -> Result<(), DatabaseError> {
        self.within(place, self.client.batch_execute("rollback")).await
    }

    /// Commits, bounded by the writer's clock: a statement timeout does not bound a COMMIT that
    /// waits for a synchronous replica.
    ///
    /// # Errors
    /// As [`within`](Self::within). Without a SQLSTATE the outcome is unknown.
    pub async fn commit(&self) -> Result<Commit, DatabaseError> {
        let before = self.warnings.load(Ordering::Acquire);
        let commit = self.client.batch_execute("commit");
        self.bounded(Place::Commit, self.commit_timeout, commit).await?;
        // The connection's task sees a notice before it passes on the answer that follows it.
        let warned = self.warnings.load(Ordering::Acquire) != before;
        Ok(if warned { Commit::Unknown } else { Commit::Done })
    }

    /// Waits until the connection is lost, and says why.
    pub async fn lost(&self) -> Arc<DatabaseError> {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(reason)) => reason.clone(),
            _ => Arc::new(DatabaseError::cut(Place::Connect)),
        }
    }

    async fn bounded<T>(
        &self,
        place: Place,
        bound: Duration,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DatabaseError> {
        match tokio::time::timeout(bound, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.explain(place, error)),
            Err(_) => {
                self.task.abort();
                Err(DatabaseError::no_answer(place, bound))
            }
        }
    }

    /// "Connection closed" alone says little: the connection's own end knows why.
    fn explain(&self, place: Place, error: tokio_postgres::Error) -> DatabaseError {
        match self.ended.borrow().as_deref() {
            Some(reason) if error.as_db_error().is_none() => reason.at(place),
            _ => DatabaseError::query(place, &error),
        }
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<String, Statement>> {
        self.statements.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Moves bytes and notices until the connection ends; says why before anybody can see that it did.
async fn drive(
    mut connection: Connection<Socket, TlsStream>,
    warnings: Arc<AtomicU64>,
    end: watch::Sender<Option<Arc<DatabaseError>>>,
) {
    let reason = loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                let sqlstate = notice.code().code();
                if *notice.code() == SqlState::WARNING {
                    warnings.fetch_add(1, Ordering::AcqRel);
                    warn!(
                        sqlstate,
                        hint = notice.hint(),
                        "the database warns: {}",
                        notice.message()
                    );
                } else {
                    debug!(sqlstate, "the database notes: {}", notice.message());
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => break DatabaseError::query(Place::Connect, &error),
            None => break DatabaseError::cut(Place::Connect),
        }
    };
    end.send_replace(Some(Arc::new(reason)));
}
