//! One COPY into a staging table.

use std::pin::pin;

use futures_util::SinkExt as _;
use tokio_postgres::CopyInSink;

use super::slot::Staging;
use crate::catalog::{CopyFormat, Target};
use crate::event_batch::{EventBatch, RowSpan};
use crate::failpoint;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

/// Copies rows of a target.
///
/// # Errors
/// What the database said, or that it took another number of rows.
pub async fn copy(
    session: &Session,
    target: &Target,
    staging: &Staging,
    batch: &EventBatch,
    rows: &RowSpan,
) -> Result<(), DatabaseError> {
    let format = match target.copy_format() {
        CopyFormat::Binary => "binary",
        CopyFormat::Text => "text",
    };
    let columns = target.copy_columns();
    let sql = format!("copy {} ({columns}) from stdin with (format {format})", staging.table);
    let statement = session.statement(Place::Copy, &sql).await?;
    let copy = async {
        let sink: CopyInSink<_> = session.client().copy_in(&statement).await?;
        let mut sink = pin!(sink);
        for (index, chunk) in batch.copy_chunks(rows, staging.batch).enumerate() {
            sink.feed(chunk).await?;
            if cfg!(feature = "failpoints") && index == 0 {
                sink.flush().await?;
                failpoint::hit(failpoint::STAGE_IN_COPY).await;
            }
        }
        sink.finish().await
    };
    let copied = session.within(Place::Copy, copy).await?;
    let count = rows.row_count();
    if copied == count {
        return Ok(());
    }
    let message = format!("{} took {copied} rows of {count}", staging.table);
    Err(DatabaseError::answer(Place::Copy, message))
}
