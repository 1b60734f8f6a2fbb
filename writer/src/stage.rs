//! Begins a batch's transaction, takes a slot, and copies the batch's rows into it.

use std::pin::pin;

use futures_util::SinkExt as _;
use tokio_postgres::CopyInSink;
use tokio_postgres::types::ToSql;

use crate::catalog::TargetIndex;
use crate::event_batch::EventBatch;
use crate::failpoint;
use crate::hand_over::Decoder;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const BEGIN: &str = "begin isolation level read committed read write";

const STAGE: &str = include_str!("stage.sql");

/// What stands in the slot.
#[derive(Debug, Default)]
pub struct Staged {
    /// The slot; none if the batch has no rows.
    pub slot: Option<i32>,
    /// Rows by target.
    pub rows: Vec<(TargetIndex, u64)>,
}

/// A staging table of the slot.
struct Staging {
    relation: u32,
    table: String,
    slot: i32,
    batch: u64,
}

/// Begins the transaction and stages the batch, which must be sealed.
///
/// # Errors
/// What the database said. The transaction is open then, or the session is gone.
pub async fn stage(
    session: &Session,
    decoder: &Decoder,
    batch: &EventBatch,
) -> Result<Staged, DatabaseError> {
    let rows: Vec<(TargetIndex, u64)> = batch.targets().filter(|(_, rows)| *rows > 0).collect();
    let client = session.client();
    if rows.is_empty() {
        session.within(Place::Stage, client.batch_execute(BEGIN)).await?;
        return Ok(Staged::default());
    }
    let stagings = begin_and_take_slot(session, &relations(decoder, &rows)).await?;
    let slot = stagings.first().map(|staging| staging.slot);
    for (target, count) in &rows {
        let relation = decoder.catalog.target(*target).relation();
        let staging = stagings.iter().find(|staging| staging.relation == relation);
        let staging = staging.ok_or_else(|| {
            let message = format!("stage gave no staging table for relation {relation}");
            DatabaseError::answer(Place::Stage, message)
        })?;
        copy(session, decoder, batch, *target, staging, *count).await?;
    }
    Ok(Staged { slot, rows })
}

/// The targets that have rows, and those that the format's resolve fills from them.
fn relations(decoder: &Decoder, rows: &[(TargetIndex, u64)]) -> Vec<u32> {
    let mut targets: Vec<TargetIndex> = rows.iter().map(|(target, _)| *target).collect();
    let resolve = decoder.format.resolve();
    if resolve.is_some_and(|resolve| targets.contains(&resolve.refs)) {
        targets.extend(decoder.format.extra_relations());
    }
    targets.sort_unstable();
    targets.dedup();
    targets.into_iter().map(|target| decoder.catalog.target(target).relation()).collect()
}

/// Both in one round trip: a transaction that could not begin has nothing to stage in, and says so.
async fn begin_and_take_slot(
    session: &Session,
    relations: &[u32],
) -> Result<Vec<Staging>, DatabaseError> {
    let statement = session.statement(Place::Stage, STAGE).await?;
    let client = session.client();
    let both = async {
        let parameters: [&(dyn ToSql + Sync); 1] = [&relations];
        tokio::try_join!(client.batch_execute(BEGIN), client.query(&statement, &parameters))
    };
    let ((), answer) = session.within(Place::Stage, both).await?;
    let read = |row: &tokio_postgres::Row| -> Result<Staging, tokio_postgres::Error> {
        Ok(Staging {
            relation: row.try_get(0)?,
            table: row.try_get(1)?,
            slot: row.try_get(2)?,
            batch: row.try_get::<_, i64>(3)?.cast_unsigned(),
        })
    };
    answer
        .iter()
        .map(|row| {
            read(row).map_err(|error| DatabaseError::answer(Place::Stage, error.to_string()))
        })
        .collect()
}

async fn copy(
    session: &Session,
    decoder: &Decoder,
    batch: &EventBatch,
    target: TargetIndex,
    staging: &Staging,
    count: u64,
) -> Result<(), DatabaseError> {
    let columns = decoder.catalog.target(target).copy_columns();
    let sql = format!("copy {} ({columns}) from stdin binary", staging.table);
    let statement = session.statement(Place::Copy, &sql).await?;
    let copy = async {
        let sink: CopyInSink<_> = session.client().copy_in(&statement).await?;
        let mut sink = pin!(sink);
        for (index, chunk) in batch.copy_chunks(target, staging.batch).enumerate() {
            sink.feed(chunk).await?;
            if cfg!(feature = "failpoints") && index == 0 {
                sink.flush().await?;
                failpoint::hit(failpoint::STAGE_IN_COPY).await;
            }
        }
        sink.finish().await
    };
    let copied = session.within(Place::Copy, copy).await?;
    if copied == count {
        return Ok(());
    }
    let message = format!("{} took {copied} rows of {count}", staging.table);
    Err(DatabaseError::answer(Place::Copy, message))
}
