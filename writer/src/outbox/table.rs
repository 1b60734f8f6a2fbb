//! The functions by which rows of `forebay.outbox` are read and deleted.

use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::message::Said;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const BACKLOG: &str = "select waiting, oldest_seconds from forebay.outbox_backlog($1::text)";
const TAKE: &str =
    "select id, created_at, positions, said from forebay.take_outbox($1::text, $2::int8)";
const SEEN: &str = "select forebay.seen_outbox($1::uuid[])";
const ACK: &str = "select forebay.ack_outbox($1::uuid[])";

/// A row of the outbox.
#[derive(Debug)]
pub struct OutboxRow {
    /// The batch's id.
    pub id: Uuid,
    /// When it was merged.
    pub created_at: Timestamp,
    /// What it has merged, as JSON.
    pub positions: Box<RawValue>,
    /// What it has to say.
    pub said: Said,
}

/// How many rows wait, and how old the oldest is, in seconds.
pub async fn backlog(session: &Session, source: &str) -> Result<(i64, f64), DatabaseError> {
    let rows = query(session, BACKLOG, &[&source]).await?;
    let row = rows.first().ok_or_else(|| answer("no backlog"))?;
    Ok((row.try_get(0).map_err(answer)?, row.try_get(1).map_err(answer)?))
}

/// The next rows: one at least, and others as long as those before them have less than `max_bytes`.
pub async fn take(
    session: &Session,
    source: &str,
    max_bytes: i64,
) -> Result<Vec<OutboxRow>, DatabaseError> {
    query(session, TAKE, &[&source, &max_bytes]).await?.iter().map(read).collect()
}

/// Which of these rows a server has.
pub async fn seen(session: &Session, ids: &[Uuid]) -> Result<Vec<Uuid>, DatabaseError> {
    let rows = query(session, SEEN, &[&ids]).await?;
    rows.iter().map(|row| row.try_get(0).map_err(answer)).collect()
}

/// Deletes rows that are published.
pub async fn acknowledge(session: &Session, ids: &[Uuid]) -> Result<(), DatabaseError> {
    query(session, ACK, &[&ids]).await.map(drop)
}

async fn query(
    session: &Session,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, DatabaseError> {
    let statement = session.statement(Place::Publish, sql).await?;
    session.within(Place::Publish, session.client().query(&statement, parameters)).await
}

fn read(row: &Row) -> Result<OutboxRow, DatabaseError> {
    let created_at: SystemTime = row.try_get("created_at").map_err(answer)?;
    let positions: Json<Value> = row.try_get("positions").map_err(answer)?;
    let said: Json<Said> = row.try_get("said").map_err(answer)?;
    Ok(OutboxRow {
        id: row.try_get("id").map_err(answer)?,
        created_at: Timestamp::try_from(created_at).map_err(answer)?,
        positions: serde_json::value::to_raw_value(&positions.0).map_err(answer)?,
        said: said.0,
    })
}

fn answer(error: impl ToString) -> DatabaseError {
    DatabaseError::answer(Place::Publish, error.to_string())
}
