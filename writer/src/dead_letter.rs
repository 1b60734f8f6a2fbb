//! Keeps rejected events, whole and with their reasons, in the batch's transaction.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

use crate::event_batch::{EventBatch, EventRef};
use crate::record::Header;
use crate::reject::Rejected;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const RECORD: &str = include_str!("dead_letter.sql");

/// The last millisecond that a timestamptz holds. A producer may send any number.
const LAST_TIMESTAMP_MS: i64 = 9_224_318_015_999_000;

/// Records the rejected events of a batch, which must be sealed.
///
/// # Errors
/// What the database said.
pub async fn record(
    session: &Session,
    source: &str,
    batch: &EventBatch,
    rejected: &Rejected,
) -> Result<(), DatabaseError> {
    if rejected.is_empty() {
        return Ok(());
    }
    let statement = session.statement(Place::DeadLetters, RECORD).await?;
    let mut letters = Letters::default();
    for (number, reason) in rejected.iter() {
        let event = batch.event(number).ok_or_else(|| {
            let message = format!("event {number} was rejected, but the batch has none such");
            DatabaseError::answer(Place::DeadLetters, message)
        })?;
        letters.add(&event);
        letters.sqlstates.push(&reason.sqlstate);
        letters.messages.push(&reason.message);
        letters.targets.push(reason.target.as_deref());
        letters.constraints.push(reason.constraint.as_deref());
    }
    let lanes: Vec<Option<&str>> = vec![None; letters.offsets.len()];
    let parameters: [&(dyn ToSql + Sync); 13] = [
        &source,
        &letters.topics,
        &letters.partitions,
        &letters.offsets,
        &letters.timestamps,
        &letters.keys,
        &letters.headers,
        &letters.payloads,
        &lanes,
        &letters.sqlstates,
        &letters.messages,
        &letters.targets,
        &letters.constraints,
    ];
    let recorded = session.client().query_one(&statement, &parameters);
    session.within(Place::DeadLetters, recorded).await?;
    Ok(())
}

/// The parallel arrays of `forebay.record_dead_letters`.
#[derive(Default)]
struct Letters<'a> {
    topics: Vec<&'a str>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    timestamps: Vec<Option<i64>>,
    keys: Vec<Option<&'a [u8]>>,
    headers: Vec<Option<Value>>,
    payloads: Vec<Option<&'a [u8]>>,
    sqlstates: Vec<&'a str>,
    messages: Vec<&'a str>,
    targets: Vec<Option<&'a str>>,
    constraints: Vec<Option<&'a str>>,
}

impl<'a> Letters<'a> {
    fn add(&mut self, event: &EventRef<'a>) {
        self.topics.push(event.topic.as_str());
        self.partitions.push(event.partition.0);
        self.offsets.push(event.offset.0);
        let range = 0..=LAST_TIMESTAMP_MS;
        self.timestamps.push(event.timestamp_ms.filter(|time| range.contains(time)));
        self.keys.push(event.key);
        self.headers.push(headers(&event.headers));
        self.payloads.push(event.payload);
    }
}

/// `[{"key": text, "value": base64 or null}]`; null if there are none.
fn headers(headers: &[Header<'_>]) -> Option<Value> {
    let entry = |header: &Header<'_>| json!({"key": header.key, "value": header.value.map(|value| STANDARD.encode(value))});
    (!headers.is_empty()).then(|| headers.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::headers;
    use crate::record::Header;

    #[test]
    fn keeps_headers_byte_for_byte() {
        assert_eq!(headers(&[]), None);
        let kept = headers(&[
            Header { key: "a", value: Some(b"\xff\x00") },
            Header { key: "a", value: None },
        ]);
        assert_eq!(kept, Some(json!([{"key": "a", "value": "/wA="}, {"key": "a", "value": null}])));
    }
}
