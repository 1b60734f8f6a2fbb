//! A COPY in which some rows are refused: finds their events, and stages all others.
//!
//! The server says in words which line it refused, in the language of its messages, and nothing
//! that a program could rely on. So the rows are halved until the refused ones stand alone, each
//! part under a savepoint: about 2 log₂ n COPYs for one bad event among n.

use super::copy::copy;
use super::slot::Staging;
use crate::catalog::Target;
use crate::event_batch::{EventBatch, RowSpan};
use crate::reject::{Reason, Refused};
use crate::rejection::recordable;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const BEGIN_PART: &str = "savepoint forebay_part";
const KEEP_PART: &str = "release savepoint forebay_part";
const DROP_PART: &str = "rollback to savepoint forebay_part; release savepoint forebay_part";

/// Copies the rows of a target, but for those of events that the database refuses. Adds these to
/// `refused`, and gives the number of rows that stand in the staging table.
///
/// # Errors
/// What the database said, if it is no row's fault.
pub async fn copy_good(
    session: &Session,
    target: &Target,
    staging: &Staging,
    batch: &EventBatch,
    rows: RowSpan,
    refused: &mut Vec<Refused>,
) -> Result<u64, DatabaseError> {
    let mut copied = 0;
    // What is still to be copied, the first part last.
    let mut pending = vec![rows];
    while let Some(part) = pending.pop() {
        run(session, BEGIN_PART).await?;
        let Err(error) = copy(session, target, staging, batch, &part).await else {
            run(session, KEEP_PART).await?;
            copied += part.row_count();
            continue;
        };
        let Some(reason) = reason(target, &error) else { return Err(error) };
        run(session, DROP_PART).await?;
        match batch.halves(&part) {
            Ok([first, second]) => pending.extend([second, first]),
            Err(event) => refused.push(Refused { event, reason }),
        }
    }
    Ok(copied)
}

async fn run(session: &Session, sql: &str) -> Result<(), DatabaseError> {
    session.within(Place::Copy, session.client().batch_execute(sql)).await
}

/// The reason to refuse a row, if the row is to blame.
fn reason(target: &Target, error: &DatabaseError) -> Option<Reason> {
    Some(Reason {
        message: recordable(error.rows_fault()?.to_owned()),
        sqlstate: error.sqlstate()?.to_owned(),
        target: Some(recordable(target.qualified_name().to_owned())),
        constraint: None,
    })
}
