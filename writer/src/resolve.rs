//! A format's own work between COPY and merge, by its functions of the extension.

use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Json, ToSql};
use tracing::{info, warn};

use crate::hand_over::Decoder;
use crate::reject::Refused;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::stage::Staged;

const BUTLER_RESOLVE: &str = "select forebay.butler_resolve($1::int4, $2::text, $3::int8, \
     $4::int8, $5::text[], $6::text[], $7::text[], $8::int4[])";
const BUTLER_REGISTER: &str = "select forebay.butler_register($1::text, $2::jsonb)";
const BUTLER_FINISH: &str = "select forebay.butler_finish($1::int4[])";

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
    /// Whether there is something to [`finish`] after the merge.
    #[serde(default)]
    pub is_pending: bool,
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

/// What earlier tries with the same batch have shown.
#[derive(Debug, Default)]
pub struct Lessons {
    /// Dataset types that can't be registered, and why.
    refused_types: (Vec<String>, Vec<String>),
    /// Events that are rejected, and that others would be resolved by otherwise.
    pub excluded: Vec<Refused>,
}

#[derive(Debug, Deserialize)]
struct Finished {
    exclude: Vec<i32>,
}

impl Lessons {
    /// Excludes these events, of those that the merge has rejected.
    ///
    /// # Errors
    /// If that is nothing new, so that it would go on for ever.
    pub fn exclude(&mut self, events: &[i32], merge: Vec<Refused>) -> Result<(), DatabaseError> {
        let before = self.excluded.len();
        self.excluded.extend(merge.into_iter().filter(|refused| events.contains(&refused.event)));
        if self.excluded.len() > before {
            return Ok(());
        }
        let message =
            format!("butler_finish excludes {events:?}, and the merge rejects none of them");
        Err(DatabaseError::answer(Place::Resolve, message))
    }
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

/// Has the staged rows resolved, if the format needs it and there are any of its kind. The excluded
/// events are rejected already.
///
/// # Errors
/// What the database said.
pub async fn resolve(
    session: &Session,
    decoder: &Decoder,
    staged: &Staged,
    lessons: &Lessons,
    excluded: &[Refused],
) -> Result<Resolved, DatabaseError> {
    let Some(resolve) = decoder.format.resolve() else { return Ok(Resolved::default()) };
    let rows_of = |target| {
        let rows = staged.rows.iter().find(|(staged, _)| *staged == target);
        rows.map_or(0, |(_, rows)| rows.cast_signed())
    };
    let (references, chains) = (rows_of(resolve.refs), rows_of(resolve.chains));
    if references + chains == 0 {
        return Ok(Resolved::default());
    }
    let statement = session.statement(Place::Resolve, BUTLER_RESOLVE).await?;
    let excluded: Vec<i32> = excluded.iter().map(|refused| refused.event).collect();
    let (refused, reasons) = &lessons.refused_types;
    let parameters: [&(dyn ToSql + Sync); 8] = [
        &staged.slot,
        &resolve.schema,
        &references,
        &chains,
        &resolve.convertible,
        refused,
        reasons,
        &excluded,
    ];
    let answer = session.client().query_one(&statement, &parameters);
    let row = session.within(Place::Resolve, answer).await?;
    let answer: Json<Resolved> =
        row.try_get(0).map_err(|error| DatabaseError::answer(Place::Resolve, error.to_string()))?;
    Ok(answer.0)
}

/// Registers dataset types, outside the batch's transaction. Those that can't be are added to the
/// lessons.
///
/// # Errors
/// What the database said.
pub async fn register(
    session: &Session,
    decoder: &Decoder,
    types: Vec<DatasetType>,
    lessons: &mut Lessons,
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
        lessons.refused_types.0.push(name);
        lessons.refused_types.1.push(reason);
    }
    Ok(())
}

/// Does what resolving has left for after the merge, which has rejected these events. If some of them
/// should have been known before, returns those: the batch is to be rolled back, and resolved again
/// without them.
///
/// # Errors
/// What the database said.
pub async fn finish(
    session: &Session,
    resolved: &Resolved,
    rejected: &[i32],
) -> Result<Vec<i32>, DatabaseError> {
    if !resolved.is_pending {
        return Ok(Vec::new());
    }
    let statement = session.statement(Place::Resolve, BUTLER_FINISH).await?;
    let parameters: [&(dyn ToSql + Sync); 1] = [&rejected];
    let answer = session.client().query_one(&statement, &parameters);
    let row = session.within(Place::Resolve, answer).await?;
    let Json(finished): Json<Finished> =
        row.try_get(0).map_err(|error| DatabaseError::answer(Place::Resolve, error.to_string()))?;
    Ok(finished.exclude)
}
