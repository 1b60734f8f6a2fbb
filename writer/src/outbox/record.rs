//! Writes what a batch has to say, in its transaction.

use std::collections::HashSet;

use serde_json::json;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use crate::catalog::TargetIndex;
use crate::claim::Claim;
use crate::decode::FIRST_COLUMN_AT;
use crate::event_batch::EventBatch;
use crate::hand_over::Decoder;
use crate::merge::Advances;
use crate::reject::Rejected;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const RECORD: &str = "select forebay.record_outbox($1::text, $2::text[], $3::int4[], $4::uuid[], \
                          $5::int8[], $6::int8[], $7::jsonb)";

/// Records the datasets of the accepted events of a batch, which must be sealed; nothing if there
/// are none.
///
/// # Errors
/// What the database said.
pub async fn record(
    session: &Session,
    source: &str,
    claim: &Claim,
    decoder: &Decoder,
    batch: &EventBatch,
    rejected: &Rejected,
) -> Result<(), DatabaseError> {
    let Some(resolve) = decoder.format.resolve() else { return Ok(()) };
    let datasets = accepted_datasets(batch, resolve.refs, rejected);
    if datasets.is_empty() {
        return Ok(());
    }
    let statement = session.statement(Place::Outbox, RECORD).await?;
    let positions = batch.positions();
    let advances = Advances::new(claim, &positions)?;
    let said = Json(json!({ "datasets": datasets }));
    let parameters: [&(dyn ToSql + Sync); 7] = [
        &source,
        &advances.topics,
        &advances.partitions,
        &advances.tokens,
        &advances.from_offsets,
        &advances.next_offsets,
        &said,
    ];
    let recorded = session.client().query_one(&statement, &parameters);
    session.within(Place::Outbox, recorded).await.map(drop)
}

/// The ids of all datasets that accepted events refer to, each once, in the order of the events.
/// `refs` is the target of the references, whose first column is the id.
fn accepted_datasets(batch: &EventBatch, refs: TargetIndex, rejected: &Rejected) -> Vec<String> {
    let mut seen = HashSet::new();
    let rows = batch.encoded_rows(refs);
    let accepted = rows.iter().filter(|(event, _)| !rejected.contains(*event));
    let ids = accepted.filter_map(|(_, row)| {
        let id = row.get(FIRST_COLUMN_AT..)?.first_chunk::<16>()?;
        Some(Uuid::from_bytes(*id))
    });
    ids.filter(|id| seen.insert(*id)).map(|id| id.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::accepted_datasets;
    use crate::event_batch::EventBatch;
    use crate::position::{Offset, Partition, Topic};
    use crate::record::Record;
    use crate::reject::{Reason, Refused, Rejected};
    use crate::testing::{butler, butler_catalog, sample};

    #[test]
    fn says_the_datasets_of_accepted_events_in_their_order() {
        let catalog = butler_catalog();
        let (format, sample) = (butler(&catalog), sample());
        let events: Vec<&str> = sample.lines().skip(1).take(3).collect();
        let topic = Topic::from("t");
        let mut batch = EventBatch::new();
        // Partition 1 arrives before 0, and the first event comes again at the end.
        for (partition, offset, event) in [(1, 0, 2), (0, 0, 0), (0, 1, 1), (1, 1, 0)] {
            let record = Record {
                topic: &topic,
                partition: Partition(partition),
                offset: Offset(offset),
                timestamp_ms: None,
                key: None,
                payload: Some(events[event].as_bytes()),
                headers: Vec::new(),
            };
            batch.push(&record, &format, &catalog);
        }
        batch.seal();
        assert_eq!(batch.rejections().count(), 0);
        let reason = Reason {
            sqlstate: "23505".to_owned(),
            message: "m".to_owned(),
            target: None,
            constraint: None,
        };
        let mut rejected = Rejected::default();
        rejected.add(vec![Refused { event: 1, reason }]);
        let refs = format.resolve().unwrap().refs;
        let expected: Vec<String> =
            [0, 2].into_iter().flat_map(|event| ids(events[event])).collect();
        assert_eq!(accepted_datasets(&batch, refs, &rejected), expected);
        assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), expected.len());
    }

    /// Each file of the sample has one reference.
    fn ids(event: &str) -> Vec<String> {
        let event: Value = serde_json::from_str(event).unwrap();
        let files = event["datasets"].as_array().unwrap().iter();
        files.flat_map(|file| file["refs"].as_object().unwrap().keys().cloned()).collect()
    }
}
