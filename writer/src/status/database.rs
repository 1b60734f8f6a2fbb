//! Looks at the primary and the replicas. What a server does not answer in time ends the look at it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::{Error, Row};

use super::report::{Key, Part, Primary, Progress, Reason, Replay, Replica, TargetRow, WriterRow};
use crate::config::{Config, DatabaseConfig, Dsn};
use crate::position::{Offset, Partition, Topic};
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const SERVER: &str = "select current_setting('server_version'), pg_current_wal_lsn()";
const PROGRESS: &str = "select topic, partition, next_offset, claimant, \
        extract(epoch from clock_timestamp() - updated_at)::float8 \
    from forebay.progress where source = $1::text";
const OTHER_SOURCES: &str =
    "select distinct source from forebay.progress where source <> $1::text order by source";
const TARGETS: &str = "select relation::text, on_conflict, coalesce(key, '{}')::text[] \
    from forebay.target where on_conflict <> 'resolve' order by relation::text";
const WRITERS: &str = "select claimant, extract(epoch from clock_timestamp() - beat_at)::float8, \
        beat_at > clock_timestamp() - interval '6 seconds' \
            and exists (select from pg_stat_get_activity(backend_pid)), able \
    from forebay.writer_heartbeat where source = $1::text order by started_at, id";
const DEAD_LETTERS: &str = "select count(*), sqlstate, target, \"constraint\", \
        to_char(max(last_seen) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
    from forebay.dead_letter where source = $1::text \
    group by sqlstate, target, \"constraint\" order by count(*) desc, sqlstate, target";
const REPLAY: &str = "select pg_last_wal_replay_lsn(), \
        case when pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() \
            then extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 end, \
        case when pg_is_in_recovery() then pg_is_wal_replay_paused() end \
    where pg_is_in_recovery()";

/// The role may not.
const NO_RIGHT: &str = "42501";

/// How long a statement may take here, at most.
const BOUND: Duration = Duration::from_secs(10);

/// Looks at the primary, as `admin` if there is one.
pub async fn primary(config: &Config, admin: Option<&Dsn>) -> Part<Primary> {
    let mut database = bounded(&config.database);
    if let Some(admin) = admin {
        database.dsn = admin.clone();
    }
    let seen = look_at_primary(&database, &config.source.name).await;
    Part { place: database.dsn.to_string(), seen: seen.map_err(|error| error.to_string()) }
}

/// Looks at every configured replica.
pub async fn replicas(config: &Config) -> Vec<Part<Replica>> {
    let database = &bounded(&config.database);
    let looks = config.database.replicas.iter().map(|replica| async move {
        let seen = look_at_replica(replica, database, &config.source.name).await;
        Part { place: replica.to_string(), seen: seen.map_err(|error| error.to_string()) }
    });
    join_all(looks).await
}

fn bounded(config: &DatabaseConfig) -> DatabaseConfig {
    let statement_timeout = config.statement_timeout.min(BOUND);
    DatabaseConfig { statement_timeout, ..config.clone() }
}

async fn look_at_primary(config: &DatabaseConfig, source: &str) -> Result<Primary, DatabaseError> {
    let session = Session::connect(config, &format!("{source} status")).await?;
    let client = session.client();
    let server = session.within(Place::Show, client.query_one(SERVER, &[])).await?;
    let progress = session.within(Place::Show, client.query(PROGRESS, &[&source])).await?;
    let others = session.within(Place::Show, client.query(OTHER_SOURCES, &[&source])).await?;
    let targets = session.within(Place::Show, client.query(TARGETS, &[])).await?;
    let writers = of_admins(&session, WRITERS, source, writer).await?;
    let dead_letters = of_admins(&session, DEAD_LETTERS, source, reason).await?;
    Ok(Primary {
        version: server.try_get(0).map_err(answer)?,
        lsn: server.try_get(1).map_err(answer)?,
        progress: read_all(&progress, progress_row)?,
        other_sources: read_all(&others, |row| row.try_get(0))?,
        writers,
        dead_letters,
        targets: read_all(&targets, target)?,
    })
}

/// What only a member of `forebay_admin` may see; or that this role may not.
async fn of_admins<T>(
    session: &Session,
    query: &str,
    source: &str,
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Result<Vec<T>, String>, DatabaseError> {
    match session.within(Place::Show, session.client().query(query, &[&source])).await {
        Ok(rows) => Ok(Ok(read_all(&rows, read)?)),
        Err(error) if error.sqlstate() == Some(NO_RIGHT) => Ok(Err(
            "this role may not see them; give --dsn with a member of forebay_admin".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

async fn look_at_replica(
    replica: &Dsn,
    config: &DatabaseConfig,
    source: &str,
) -> Result<Replica, DatabaseError> {
    let name = format!("{source} status");
    let session = Session::connect_replica(replica, config, &name).await?;
    let client = session.client();
    let replayed = session.within(Place::Show, client.query_opt(REPLAY, &[])).await?;
    let progress = session.within(Place::Show, client.query(PROGRESS, &[&source])).await?;
    let progress: BTreeMap<Key, Progress> = read_all(&progress, progress_row)?;
    Ok(Replica {
        replay: replayed.as_ref().map(replay).transpose().map_err(answer)?,
        progress: progress.into_iter().map(|(key, one)| (key, one.next_offset)).collect(),
    })
}

fn progress_row(row: &Row) -> Result<(Key, Progress), Error> {
    let topic: &str = row.try_get(0)?;
    let progress = Progress {
        next_offset: Offset(row.try_get(2)?),
        claimant: row.try_get(3)?,
        age_seconds: row.try_get(4)?,
    };
    Ok(((Topic::from(topic), Partition(row.try_get(1)?)), progress))
}

fn writer(row: &Row) -> Result<WriterRow, Error> {
    Ok(WriterRow {
        claimant: row.try_get(0)?,
        beat_age_seconds: row.try_get(1)?,
        is_live: row.try_get(2)?,
        is_able: row.try_get(3)?,
    })
}

fn reason(row: &Row) -> Result<Reason, Error> {
    Ok(Reason {
        count: row.try_get(0)?,
        sqlstate: row.try_get(1)?,
        target: row.try_get(2)?,
        constraint: row.try_get(3)?,
        last_seen: row.try_get(4)?,
    })
}

fn target(row: &Row) -> Result<TargetRow, Error> {
    Ok(TargetRow { relation: row.try_get(0)?, on_conflict: row.try_get(1)?, key: row.try_get(2)? })
}

fn replay(row: &Row) -> Result<Replay, Error> {
    Ok(Replay { lsn: row.try_get(0)?, age_seconds: row.try_get(1)?, is_paused: row.try_get(2)? })
}

fn read_all<T, C: FromIterator<T>>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<C, DatabaseError> {
    rows.iter().map(read).collect::<Result<C, Error>>().map_err(answer)
}

fn answer(error: Error) -> DatabaseError {
    DatabaseError::answer(Place::Show, error.to_string())
}
