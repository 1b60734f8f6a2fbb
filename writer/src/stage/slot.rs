//! The slot of a batch's transaction: a staging table per target.

use tokio_postgres::types::ToSql;

use crate::catalog::{Catalog, Target};
use crate::hand_over::Decoder;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const BEGIN: &str = "begin isolation level read committed read write";
const BUTLER_BEGIN: &str = "select forebay.butler_begin($1::text)";
const TAKE_SLOT: &str = include_str!("take_slot.sql");
const COLUMNS: &str = include_str!("columns.sql");

/// A staging table of the slot.
pub struct Staging {
    /// The target's oid.
    pub relation: u32,
    /// The staging table's name, as SQL.
    pub table: String,
    /// The slot's number.
    pub slot: i32,
    /// The transaction's number, which its staged rows bear.
    pub batch: u64,
}

/// Begins a transaction that stages nothing.
pub async fn begin(session: &Session) -> Result<(), DatabaseError> {
    session.within(Place::Stage, session.client().batch_execute(BEGIN)).await
}

/// Begins a transaction and takes a slot with staging tables for these targets, which stay as they
/// are until it ends: they must have the columns that the catalog knows. What the format does first is
/// done before.
///
/// All in one round trip. A transaction that could not begin has nothing to stage in, and says so.
pub async fn begin_and_take(
    session: &Session,
    decoder: &Decoder,
    relations: &[u32],
) -> Result<Vec<Staging>, DatabaseError> {
    let resolve = decoder.format.resolve();
    let prepare = match &resolve {
        Some(resolve) => Some((session.statement(Place::Stage, BUTLER_BEGIN).await?, resolve)),
        None => None,
    };
    let take = session.statement(Place::Stage, TAKE_SLOT).await?;
    let look = session.statement(Place::Stage, COLUMNS).await?;
    let client = session.client();
    let parameters: [&(dyn ToSql + Sync); 1] = [&relations];
    let prepare = async {
        match &prepare {
            Some((begin, resolve)) => client.execute(begin, &[&resolve.schema]).await.map(drop),
            None => Ok(()),
        }
    };
    let all = async {
        let (began, prepared, stagings, columns) = tokio::join!(
            client.batch_execute(BEGIN),
            prepare,
            client.query(&take, &parameters),
            client.query(&look, &parameters)
        );
        // The first error is the reason; those after it say that the transaction is aborted.
        began?;
        prepared?;
        Ok((stagings?, columns?))
    };
    let (stagings, columns) = session.within(Place::Stage, all).await?;
    let answer =
        |error: tokio_postgres::Error| DatabaseError::answer(Place::Stage, error.to_string());
    for row in &columns {
        check_columns(&decoder.catalog, row).map_err(answer)??;
    }
    stagings.iter().map(|row| read(row).map_err(answer)).collect()
}

fn read(row: &tokio_postgres::Row) -> Result<Staging, tokio_postgres::Error> {
    Ok(Staging {
        relation: row.try_get(0)?,
        table: row.try_get(1)?,
        slot: row.try_get(2)?,
        batch: row.try_get::<_, i64>(3)?.cast_unsigned(),
    })
}

/// Bytes that were encoded for other columns could be read as something else.
fn check_columns(
    catalog: &Catalog,
    row: &tokio_postgres::Row,
) -> Result<Result<(), DatabaseError>, tokio_postgres::Error> {
    let relation = row.try_get(0)?;
    let names: Vec<String> = row.try_get(1)?;
    let (types, modifiers): (Vec<u32>, Vec<i32>) = (row.try_get(2)?, row.try_get(3)?);
    let target = catalog.find_relation(relation).map(|index| catalog.target(index));
    let is_same = |target: &Target| {
        let known = target.columns().iter();
        let known = known.map(|one| (one.name.as_str(), (one.type_oid, one.typmod)));
        known.eq(names.iter().map(String::as_str).zip(types.into_iter().zip(modifiers)))
    };
    Ok(match target {
        Some(target) if !is_same(target) => Err(DatabaseError::answer(
            Place::Stage,
            format!("the columns of {} have changed since they were read", target.qualified_name()),
        )),
        _ => Ok(()),
    })
}
