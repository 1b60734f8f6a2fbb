//! Calls the merge, and reads its answer.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio_postgres::types::{Json, ToSql};

use crate::claim::Claim;
use crate::event_batch::BatchPosition;
use crate::hand_over::Decoder;
use crate::reject::Refused;
use crate::resolve::Resolved;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::stage::Staged;

const MERGE: &str = include_str!("merge.sql");

/// What the merge answers.
#[derive(Debug, Deserialize)]
pub struct MergeAnswer {
    /// `set`, `walk` or `mixed`.
    pub path: String,
    /// Subtransactions that it needed.
    pub subtransactions: u64,
    /// What it did to each target.
    pub targets: Vec<TargetOutcome>,
    /// Events that it refused.
    pub rejected: Vec<Refused>,
    /// Time per part, in seconds.
    #[serde(default)]
    pub seconds: BTreeMap<String, f64>,
}

/// What a merge did to one target, in rows.
#[derive(Debug, Deserialize)]
pub struct TargetOutcome {
    /// The target's name.
    pub relation: String,
    /// New rows.
    pub inserted: u64,
    /// Changed rows.
    pub updated: u64,
    /// Rows that were the same already, or that the policy left alone.
    pub unchanged: u64,
    /// Removed rows.
    pub deleted: u64,
}

/// Merges what is staged and advances progress to `positions`, from where the claim says. Events that
/// raise the SQLSTATE `suspected` are rejected, if others are merged.
///
/// # Errors
/// What the database said: `FB001` if another has claimed.
#[expect(clippy::too_many_arguments, reason = "they are those of forebay.merge")]
pub async fn merge(
    session: &Session,
    source: &str,
    claim: &Claim,
    decoder: &Decoder,
    positions: &[BatchPosition],
    staged: &Staged,
    resolved: &Resolved,
    suspected: Option<&str>,
) -> Result<MergeAnswer, DatabaseError> {
    let statement = session.statement(Place::Merge, MERGE).await?;
    let advances = Advances::new(claim, positions)?;
    let (relations, rows) = staged_rows(decoder, staged, resolved);
    let ordered = ordered(decoder, staged, resolved);
    let rejected: Vec<i32> = resolved.rejected.iter().map(|refused| refused.event).collect();
    let parameters: [&(dyn ToSql + Sync); 15] = [
        &staged.slot,
        &source,
        &advances.topics,
        &advances.partitions,
        &advances.tokens,
        &advances.from_offsets,
        &advances.next_offsets,
        &advances.last_offsets,
        &advances.last_timestamps,
        &advances.last_hashes,
        &relations,
        &rows,
        &rejected,
        &suspected,
        &ordered,
    ];
    let answer = session.client().query_one(&statement, &parameters);
    let row = session.within(Place::Merge, answer).await?;
    let answer: Json<MergeAnswer> =
        row.try_get(0).map_err(|error| DatabaseError::answer(Place::Merge, error.to_string()))?;
    Ok(answer.0)
}

/// Rows by relation, the format's own input left out: resolving has counted and used it up.
fn staged_rows(decoder: &Decoder, staged: &Staged, resolved: &Resolved) -> (Vec<u32>, Vec<i64>) {
    let resolve = decoder.format.resolve();
    let used_up = resolve.iter().flat_map(|resolve| [resolve.refs, resolve.chains]);
    let used_up: Vec<_> = used_up.collect();
    let mut rows: BTreeMap<u32, i64> = BTreeMap::new();
    for (target, count) in staged.rows.iter().filter(|(target, _)| !used_up.contains(target)) {
        *rows.entry(decoder.catalog.target(*target).relation()).or_default() += count.cast_signed();
    }
    for more in resolved.staged.iter().filter(|more| more.rows > 0) {
        *rows.entry(more.relation).or_default() += more.rows;
    }
    rows.into_iter().unzip()
}

/// The relations whose rows stand in the order of their keys, but for those of which a format has staged
/// more.
fn ordered(decoder: &Decoder, staged: &Staged, resolved: &Resolved) -> Vec<u32> {
    let relations = staged.ordered.iter().map(|target| decoder.catalog.target(*target).relation());
    let has_more = |relation: &u32| resolved.staged.iter().any(|more| more.relation == *relation);
    relations.filter(|relation| !has_more(relation)).collect()
}

/// `forebay.advance[]`, column by column: from where the claim says, with its tokens.
#[derive(Default)]
pub(crate) struct Advances<'a> {
    pub topics: Vec<&'a str>,
    pub partitions: Vec<i32>,
    pub tokens: Vec<uuid::Uuid>,
    pub from_offsets: Vec<i64>,
    pub next_offsets: Vec<i64>,
    pub last_offsets: Vec<Option<i64>>,
    pub last_timestamps: Vec<Option<i64>>,
    pub last_hashes: Vec<Option<&'a [u8]>>,
}

impl<'a> Advances<'a> {
    pub fn new(claim: &Claim, positions: &'a [BatchPosition]) -> Result<Self, DatabaseError> {
        let mut advances = Self::default();
        for position in positions {
            let (topic, partition) = (&position.topic, position.partition);
            let claimed = claim.get(topic, partition).ok_or_else(|| {
                let message = format!("{topic}/{partition} was read, but is not claimed");
                DatabaseError::answer(Place::Merge, message)
            })?;
            advances.topics.push(topic.as_str());
            advances.partitions.push(partition.0);
            advances.tokens.push(claimed.token);
            advances.from_offsets.push(claimed.next_offset.0);
            advances.next_offsets.push(position.next_offset.0);
            let last = position.last.as_ref();
            advances.last_offsets.push(last.map(|last| last.offset.0));
            advances.last_timestamps.push(last.and_then(|last| last.timestamp_ms));
            advances.last_hashes.push(last.map(|last| last.hash.as_slice()));
        }
        Ok(advances)
    }
}
