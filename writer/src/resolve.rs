//! A format's own work between COPY and merge, by its functions of the extension.

use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Json, ToSql};
use tracing::{info, warn};

use crate::hand_over::Decoder;
use crate::reject::Refused;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::stage::Staged;

const BUTLER_RESOLVE: &str = "select forebay.butler_resolve($1::int4, $2::text, $3::int8, $4::text[], $5::text[], $6::text[])";
const BUTLER_REGISTER: &str = "select forebay.butler_register($1::text, $2::jsonb)";
const BUTLER_FINISH: &str = "select forebay.butler_finish()";

/// What a format's function answers.
#[derive(Debug, Default, Deserialize)]
pub struct Resolved {
    /// What has to be registered, in a transaction of its own, before the batch is staged again.
    #[serde(default)]
    pub unregistered: Vec<DatasetType>,
    /// Rows that it staged, by relation.
    pub staged: Vec<ResolvedRows>,
    /// Events that it refused; their rows are still staged.
    pub rejected: Vec<Refused>,
    /// How many runs it made.
    #[serde(default)]
    pub new_runs: u64,
}

/// Rows of one relation.
#[derive(Debug, Deserialize)]
pub struct ResolvedRows {
    /// The oid of the relation.
    pub relation: u32,
    /// How many.
    pub rows: i64,
}

/// A dataset type of a Butler repository.
#[derive(Debug, Serialize, Deserialize)]
pub struct DatasetType {
    /// Its name.
    pub name: String,
    /// Its storage class.
    pub storage_class: String,
    /// The required dimensions of its group.
    pub dimensions: Vec<String>,
    /// Whether its datasets are calibrations.
    pub is_calibration: bool,
}

/// Dataset types that can't be registered, and why.
#[derive(Debug, Default)]
pub struct RefusedTypes {
    names: Vec<String>,
    reasons: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Registered {
    registered: Vec<String>,
    refused: Vec<RefusedType>,
}

#[derive(Debug, Deserialize)]
struct RefusedType {
    name: String,
    reason: String,
}

/// Has the staged rows resolved, if the format needs it and there are any of its kind.
///
/// # Errors
/// What the database said.
pub async fn resolve(
    session: &Session,
    decoder: &Decoder,
    staged: &Staged,
    refused: &RefusedTypes,
) -> Result<Resolved, DatabaseError> {
    let Some(resolve) = decoder.format.resolve() else { return Ok(Resolved::default()) };
    let references = staged.rows.iter().find(|(target, _)| *target == resolve.refs);
    let Some((_, rows)) = references else { return Ok(Resolved::default()) };
    let statement = session.statement(Place::Resolve, BUTLER_RESOLVE).await?;
    let rows = rows.cast_signed();
    let parameters: [&(dyn ToSql + Sync); 6] = [
        &staged.slot,
        &resolve.schema,
        &rows,
        &resolve.convertible,
        &refused.names,
        &refused.reasons,
    ];
    let answer = session.client().query_one(&statement, &parameters);
    let row = session.within(Place::Resolve, answer).await?;
    let answer: Json<Resolved> =
        row.try_get(0).map_err(|error| DatabaseError::answer(Place::Resolve, error.to_string()))?;
    Ok(answer.0)
}

/// Registers dataset types, outside the batch's transaction. Those that can't be are added to
/// `refused`.
///
/// # Errors
/// What the database said.
pub async fn register(
    session: &Session,
    decoder: &Decoder,
    types: Vec<DatasetType>,
    refused: &mut RefusedTypes,
) -> Result<(), DatabaseError> {
    let Some(resolve) = decoder.format.resolve() else { return Ok(()) };
    let statement = session.statement(Place::Resolve, BUTLER_REGISTER).await?;
    let types = Json(types);
    let parameters: [&(dyn ToSql + Sync); 2] = [&resolve.schema, &types];
    let answer = session.client().query_one(&statement, &parameters);
    let row = session.within(Place::Resolve, answer).await?;
    let Json(answer): Json<Registered> =
        row.try_get(0).map_err(|error| DatabaseError::answer(Place::Resolve, error.to_string()))?;
    if !answer.registered.is_empty() {
        info!("registered the dataset types {}", answer.registered.join(", "));
    }
    for RefusedType { name, reason } in answer.refused {
        warn!("dataset type {name} can't be registered: {reason}");
        refused.names.push(name);
        refused.reasons.push(reason);
    }
    Ok(())
}

/// Undoes what resolving made for events that the merge has rejected.
///
/// # Errors
/// What the database said.
pub async fn finish(session: &Session, resolved: &Resolved) -> Result<(), DatabaseError> {
    if resolved.new_runs == 0 {
        return Ok(());
    }
    let statement = session.statement(Place::Resolve, BUTLER_FINISH).await?;
    let answer = session.client().query_one(&statement, &[]);
    session.within(Place::Resolve, answer).await.map(drop)
}
