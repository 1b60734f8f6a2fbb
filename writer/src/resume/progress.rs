//! Progress as it is stored, and the change of it.

use tokio_postgres::types::ToSql;

use super::ResumeError;
use super::plan::Plan;
use crate::position::{Offset, Partition, Topic};
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const READ: &str = "\
    select next_offset, cluster_id, \
        format('changed %s by %s', updated_at, coalesce(claimant, 'nobody')) as since \
    from forebay.progress where source = $1 and topic = $2 and partition = $3";

const RESUME: &str = "select forebay.resume(source => $1::text, topic => $2::text, \
    partition => $3::int4, seen_next_offset => $4::int8, next_offset => $5::int8, \
    cluster_id => $6::text)";

const SKIP: &str = "select forebay.skip_unreadable(source => $1::text, topic => $2::text, \
    partition => $3::int4, seen_next_offset => $4::int8, next_offset => $5::int8, \
    sqlstate => $6::text, message => $7::text)";

/// `data_corrupted`.
const UNREADABLE: &str = "XX001";

/// A partition's progress.
#[derive(Debug)]
pub(super) struct Stored {
    pub next_offset: Offset,
    pub cluster_id: Option<String>,
    /// Since when, and by whom.
    pub since: String,
}

impl Stored {
    /// Reads it, if the partition was ever claimed.
    pub async fn read(
        session: &Session,
        source: &str,
        topic: &Topic,
        partition: Partition,
    ) -> Result<Option<Self>, DatabaseError> {
        let topic = topic.as_str();
        let parameters: [&(dyn ToSql + Sync); 3] = [&source, &topic, &partition.0];
        let query = session.client().query_opt(READ, &parameters);
        let Some(row) = session.within(Place::Resume, query).await? else { return Ok(None) };
        let read = || -> Result<Self, tokio_postgres::Error> {
            Ok(Self {
                next_offset: Offset(row.try_get("next_offset")?),
                cluster_id: row.try_get("cluster_id")?,
                since: row.try_get("since")?,
            })
        };
        read().map(Some).map_err(|error| DatabaseError::answer(Place::Resume, error.to_string()))
    }
}

/// Does what the plan says, or nothing.
pub(super) async fn change(session: &Session, plan: &Plan) -> Result<(), ResumeError> {
    let Plan { source, stored, decided } = plan;
    let topic = decided.topic.as_str();
    let (seen, next) = (stored.next_offset.0, decided.next_offset.0);
    let mut parameters: Vec<&(dyn ToSql + Sync)> =
        vec![source, &topic, &decided.partition.0, &seen, &next];
    let statement = match &decided.unreadable {
        None => {
            parameters.push(&decided.cluster_id);
            RESUME
        }
        Some(unreadable) => {
            parameters.extend([&UNREADABLE as &(dyn ToSql + Sync), &unreadable.reason]);
            SKIP
        }
    };
    let changed = session.client().query_one(statement, &parameters);
    session.within(Place::Resume, changed).await.map_err(|error| match error.sqlstate() {
        None => ResumeError::Unknown(error),
        Some(_) => ResumeError::Database(error),
    })?;
    Ok(())
}
