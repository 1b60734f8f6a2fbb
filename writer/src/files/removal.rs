//! Writes into a batch's transaction which staged files are to be removed once it is committed; and
//! reads it again.

use tokio_postgres::types::ToSql;

use super::{Files, Prepared};
use crate::reject::Rejected;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const RECORD: &str =
    "select forebay.record_file_removals($1::text, $2::text, $3::text[], $4::text[])";
const NEXT: &str = "select id, paths, versions \
                    from forebay.next_file_removals($1::text, $2::text, $3::int8)";
const ACK: &str = "select forebay.ack_file_removals($1::int8)";

/// How many files a row has at most, since a row is held in memory.
const FILES: usize = 1000;

/// Records the removal of the staged files that accepted events name.
///
/// # Errors
/// What the database said.
pub async fn record_removals(
    session: &Session,
    source: &str,
    files: &Files,
    prepared: &Prepared,
    rejected: &Rejected,
) -> Result<(), DatabaseError> {
    let Some(root) = files.staging_root() else { return Ok(()) };
    let accepted = prepared
        .staged
        .iter()
        .filter(|file| file.events.iter().any(|event| !rejected.contains(*event)));
    let accepted: Vec<_> = accepted.collect();
    for files in accepted.chunks(FILES) {
        let statement = session.statement(Place::Removals, RECORD).await?;
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let versions: Vec<&str> = files.iter().map(|file| file.version.as_str()).collect();
        let parameters: [&(dyn ToSql + Sync); 4] = [&source, &root, &paths, &versions];
        let recorded = session.client().query_one(&statement, &parameters);
        session.within(Place::Removals, recorded).await?;
    }
    Ok(())
}

/// Removals of one batch.
#[derive(Debug)]
pub(super) struct Removals {
    pub id: i64,
    pub paths: Vec<String>,
    pub versions: Vec<String>,
}

/// The next removals below `root`, after those of that id.
pub(super) async fn next(
    session: &Session,
    source: &str,
    root: &str,
    after: i64,
) -> Result<Option<Removals>, DatabaseError> {
    let statement = session.statement(Place::Remove, NEXT).await?;
    let parameters: [&(dyn ToSql + Sync); 3] = [&source, &root, &after];
    let asked = session.client().query_opt(&statement, &parameters);
    let Some(row) = session.within(Place::Remove, asked).await? else { return Ok(None) };
    Ok(Some(Removals {
        id: row.try_get(0).map_err(answer)?,
        paths: row.try_get(1).map_err(answer)?,
        versions: row.try_get(2).map_err(answer)?,
    }))
}

/// Deletes removals that are done.
pub(super) async fn acknowledge(session: &Session, id: i64) -> Result<(), DatabaseError> {
    let statement = session.statement(Place::Remove, ACK).await?;
    let parameters: [&(dyn ToSql + Sync); 1] = [&id];
    let asked = session.client().query_one(&statement, &parameters);
    session.within(Place::Remove, asked).await.map(drop)
}

fn answer(error: tokio_postgres::Error) -> DatabaseError {
    DatabaseError::answer(Place::Remove, error.to_string())
}
