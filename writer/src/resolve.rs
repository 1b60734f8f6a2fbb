//! A format's own work between COPY and merge, by its function of the extension.

use serde::Deserialize;
use tokio_postgres::types::{Json, ToSql};

use crate::hand_over::Decoder;
use crate::reject::Refused;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::stage::Staged;

const BUTLER_RESOLVE: &str = "select forebay.butler_resolve($1::int4, $2::text, $3::int8)";

/// What a format's function answers.
#[derive(Debug, Default, Deserialize)]
pub struct Resolved {
    /// Rows that it staged, by relation.
    pub staged: Vec<ResolvedRows>,
    /// Events that it refused; their rows are still staged.
    pub rejected: Vec<Refused>,
}

/// Rows of one relation.
#[derive(Debug, Deserialize)]
pub struct ResolvedRows {
    /// The oid of the relation.
    pub relation: u32,
    /// How many.
    pub rows: i64,
}

/// Has the staged rows resolved, if the format needs it and there are any of its kind.
///
/// # Errors
/// What the database said.
pub async fn resolve(
    session: &Session,
    decoder: &Decoder,
    staged: &Staged,
) -> Result<Resolved, DatabaseError> {
    let Some(resolve) = decoder.format.resolve() else { return Ok(Resolved::default()) };
    let references = staged.rows.iter().find(|(target, _)| *target == resolve.refs);
    let Some((_, rows)) = references else { return Ok(Resolved::default()) };
    let statement = session.statement(Place::Resolve, BUTLER_RESOLVE).await?;
    let rows = rows.cast_signed();
    let parameters: [&(dyn ToSql + Sync); 3] = [&staged.slot, &resolve.schema, &rows];
    let answer = session.client().query_one(&statement, &parameters);
    let row = session.within(Place::Resolve, answer).await?;
    let answer: Json<Resolved> =
        row.try_get(0).map_err(|error| DatabaseError::answer(Place::Resolve, error.to_string()))?;
    Ok(answer.0)
}
