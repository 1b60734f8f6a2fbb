//! The locks by which sessions own partitions, and the heartbeats of their writers.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};
use uuid::Uuid;

use super::allocation::{Key, Owner};
use super::by_topic;
use crate::position::{Partition, Topic};
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const OPEN_SESSION: &str = "select forebay.open_session($1, $2)";
const OWN: &str = "select partition, taken from forebay.own($1, $2, $3)";
const DISOWN: &str = "select forebay.disown($1, $2, $3)";
const OWNERS: &str = "select partition, writer, stale from forebay.owners($1, $2, $3)";
const HEARTBEAT: &str = "select writer from forebay.heartbeat($1, $2, $3, $4)";

/// Enters the session as that of a worker, so that others can end it if its writer hangs.
///
/// # Errors
/// What the database said.
pub async fn open_session(
    session: &Session,
    writer: Uuid,
    worker: usize,
) -> Result<(), DatabaseError> {
    let worker = i32::try_from(worker).unwrap_or(i32::MAX);
    query(session, OPEN_SESSION, &[&writer, &worker]).await.map(drop)
}

/// What a session owns of the partitions that it wanted.
#[derive(Debug, Default)]
pub struct Owned {
    /// The partitions.
    pub partitions: BTreeSet<Key>,
    /// How many of them it did not own before.
    pub taken: u64,
}

/// Tries to own partitions, and answers which this session owns now.
///
/// # Errors
/// What the database said. The session may own some then, until it ends.
pub async fn own(
    session: &Session,
    source: &str,
    wanted: &BTreeSet<Key>,
) -> Result<Owned, DatabaseError> {
    let mut owned = Owned::default();
    for (topic, partitions) in by_topic(wanted) {
        let name = Topic::from(topic);
        for row in query(session, OWN, &[&source, &topic, &partitions]).await? {
            owned.partitions.insert((name.clone(), Partition(read(&row, 0)?)));
            owned.taken += u64::from(read::<bool>(&row, 1)?);
        }
    }
    Ok(owned)
}

/// Gives partitions back.
///
/// # Errors
/// What the database said.
pub async fn disown(
    session: &Session,
    source: &str,
    given_back: &BTreeSet<Key>,
) -> Result<(), DatabaseError> {
    for (topic, partitions) in by_topic(given_back) {
        query(session, DISOWN, &[&source, &topic, &partitions]).await?;
    }
    Ok(())
}

/// Who owns each of these partitions, seen from one writer.
///
/// # Errors
/// What the database said.
pub async fn owners(
    session: &Session,
    source: &str,
    writer: Uuid,
    partitions: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, Owner>, DatabaseError> {
    let mut owners: BTreeMap<Key, Owner> =
        partitions.iter().map(|key| (key.clone(), Owner::Nobody)).collect();
    for (topic, partitions) in by_topic(partitions) {
        let name = Topic::from(topic);
        for row in query(session, OWNERS, &[&source, &topic, &partitions]).await? {
            let (holder, stale): (Option<Uuid>, bool) = (read(&row, 1)?, read(&row, 2)?);
            let owner = match holder {
                Some(holder) if holder == writer => Owner::This,
                _ if stale => Owner::Nobody,
                _ => Owner::Other,
            };
            owners.insert((name.clone(), Partition(read(&row, 0)?)), owner);
        }
    }
    Ok(owners)
}

/// Shows that this writer lives. Answers with all live writers that can take partitions, the
/// eldest first.
///
/// # Errors
/// What the database said.
pub async fn heartbeat(
    session: &Session,
    writer: Uuid,
    source: &str,
    claimant: &str,
    able: bool,
) -> Result<Vec<Uuid>, DatabaseError> {
    let rows = query(session, HEARTBEAT, &[&writer, &source, &claimant, &able]).await?;
    rows.iter().map(|row| read(row, 0)).collect()
}

async fn query(
    session: &Session,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, DatabaseError> {
    let statement = session.statement(Place::Own, sql).await?;
    session.within(Place::Own, session.client().query(&statement, parameters)).await
}

fn read<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, DatabaseError> {
    row.try_get(index).map_err(|error| DatabaseError::answer(Place::Own, error.to_string()))
}
