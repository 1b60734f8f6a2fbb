//! Begins a batch's transaction, takes a slot, and copies the batch's rows into it.

mod copy;
mod isolate;
mod slot;

use tracing::warn;

use crate::catalog::TargetIndex;
use crate::event_batch::EventBatch;
use crate::hand_over::Decoder;
use crate::reject::Refused;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

use slot::Staging;

/// What stands in the slot.
#[derive(Debug, Default)]
pub struct Staged {
    /// The slot; none if the batch has no rows.
    pub slot: Option<i32>,
    /// Rows by target.
    pub rows: Vec<(TargetIndex, u64)>,
    /// The targets whose rows stand in the order of their keys.
    pub ordered: Vec<TargetIndex>,
    /// Events with a row that the database refused; their other rows are staged.
    pub refused: Vec<Refused>,
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
    let targets: Vec<TargetIndex> =
        batch.targets().filter(|(_, rows)| *rows > 0).map(|(target, _)| target).collect();
    if targets.is_empty() {
        slot::begin(session).await?;
        return Ok(Staged::default());
    }
    match copy_all(session, decoder, batch, &targets).await {
        Err(error) if error.rows_fault().is_some() => {
            warn!("{error}; staging the batch again without the events whose rows are refused");
            session.roll_back(Place::Stage).await?;
            copy_good(session, decoder, batch, &targets).await
        }
        staged => staged,
    }
}

/// Copies all rows, one COPY per target.
async fn copy_all(
    session: &Session,
    decoder: &Decoder,
    batch: &EventBatch,
    targets: &[TargetIndex],
) -> Result<Staged, DatabaseError> {
    let stagings = slot::begin_and_take(session, decoder, &relations(decoder, targets)).await?;
    let mut staged = Staged { slot: slot_of(&stagings), ..Staged::default() };
    for index in targets {
        let target = decoder.catalog.target(*index);
        let staging = staging_of(&stagings, target.relation())?;
        let rows = batch.rows_of(*index);
        copy::copy(session, target, staging, batch, &rows).await?;
        staged.rows.push((*index, rows.row_count()));
        staged.ordered.extend(target.is_copied_in_key_order().then_some(*index));
    }
    Ok(staged)
}

/// Copies all rows but those that the database refuses.
async fn copy_good(
    session: &Session,
    decoder: &Decoder,
    batch: &EventBatch,
    targets: &[TargetIndex],
) -> Result<Staged, DatabaseError> {
    let stagings = slot::begin_and_take(session, decoder, &relations(decoder, targets)).await?;
    let mut staged = Staged { slot: slot_of(&stagings), ..Staged::default() };
    for index in targets {
        let target = decoder.catalog.target(*index);
        let staging = staging_of(&stagings, target.relation())?;
        let (rows, refused) = (batch.rows_of(*index), &mut staged.refused);
        let copied = isolate::copy_good(session, target, staging, batch, rows, refused).await?;
        staged.rows.push((*index, copied));
    }
    Ok(staged)
}

fn slot_of(stagings: &[Staging]) -> Option<i32> {
    stagings.first().map(|staging| staging.slot)
}

fn staging_of(stagings: &[Staging], relation: u32) -> Result<&Staging, DatabaseError> {
    stagings.iter().find(|staging| staging.relation == relation).ok_or_else(|| {
        let message = format!("stage gave no staging table for relation {relation}");
        DatabaseError::answer(Place::Stage, message)
    })
}

/// The targets that have rows; what a format resolves is looked at together.
fn relations(decoder: &Decoder, targets: &[TargetIndex]) -> Vec<u32> {
    let mut targets = targets.to_vec();
    if let Some(resolve) = decoder.format.resolve() {
        let resolved = [resolve.refs, resolve.chains];
        if targets.iter().any(|target| resolved.contains(target)) {
            targets.extend(resolved);
        }
    }
    targets.sort_unstable();
    targets.dedup();
    targets.into_iter().map(|target| decoder.catalog.target(target).relation()).collect()
}
