//! Messages, as Rubin's consumers read them (`BatchIngestedEvent` and `DatasetBatch` of
//! lsst-dm/prompt_processing_butler_writer), with what tells a repetition.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::table::OutboxRow;

/// What a batch has to say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Said {
    /// The ids of its datasets.
    pub datasets: Vec<String>,
}

/// A message.
#[derive(Serialize)]
struct BatchIngested<'a> {
    r#type: &'static str,
    batch_id: String,
    origin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_file: Option<&'a str>,
    source: &'a str,
    positions: &'a RawValue,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    part: Option<Part<'a>>,
}

/// Ids that stand in the message, of a batch that may need several.
#[derive(Clone, Copy, Serialize)]
struct Part<'a> {
    /// From 1 on.
    part: usize,
    parts: usize,
    datasets: &'a [String],
}

/// The content of a batch's file.
#[derive(Serialize)]
struct DatasetBatch<'a> {
    batch_id: String,
    datasets: &'a [String],
}

/// Who tells of batches.
#[derive(Debug, Clone, Copy)]
pub struct Teller<'a> {
    /// The service that the datasets come from.
    pub origin: &'a str,
    /// The stream.
    pub source: &'a str,
}

impl Teller<'_> {
    /// The message of a batch whose ids are in a file, which it names so.
    pub fn with_file(&self, row: &OutboxRow, file: &str) -> serde_json::Result<Vec<u8>> {
        self.message(row, Some(file), None)
    }

    /// The messages of a batch with its ids, each of up to `max_bytes`, unless it has one id alone.
    pub fn with_datasets(
        &self,
        row: &OutboxRow,
        max_bytes: usize,
    ) -> serde_json::Result<Vec<Vec<u8>>> {
        let datasets = &row.said.datasets;
        let longest = Part { part: datasets.len(), parts: datasets.len(), datasets: &[] };
        let room = max_bytes.saturating_sub(self.message(row, None, Some(longest))?.len());
        let chunks: Vec<&[String]> = datasets.chunks((room / ID_LENGTH).max(1)).collect();
        let parts = chunks.len();
        let message = |(index, datasets)| {
            self.message(row, None, Some(Part { part: index + 1, parts, datasets }))
        };
        chunks.into_iter().enumerate().map(message).collect()
    }

    fn message(
        &self,
        row: &OutboxRow,
        batch_file: Option<&str>,
        part: Option<Part<'_>>,
    ) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&BatchIngested {
            r#type: "batch-ingested",
            batch_id: row.id.to_string(),
            origin: self.origin,
            batch_file,
            source: self.source,
            positions: &row.positions,
            part,
        })
    }
}

/// A UUID in quotation marks, and a comma.
const ID_LENGTH: usize = 36 + 2 + 1;

/// The name of a batch's file: the same whenever it is written again.
pub fn file_name(row: &OutboxRow) -> String {
    format!("{}-{}.json", row.created_at.strftime("%Y-%m-%dT%H-%M-%S-%6f"), row.id)
}

/// The content of a batch's file.
pub fn file_content(id: Uuid, datasets: &[String]) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&DatasetBatch { batch_id: id.to_string(), datasets })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{Said, Teller, file_content, file_name};
    use crate::outbox::table::OutboxRow;

    const TELLER: Teller<'_> = Teller { origin: "prompt_processing", source: "butler" };

    fn row(count: u128) -> OutboxRow {
        let positions = json!([{"topic": "t", "partition": 0, "token": Uuid::nil().to_string(),
                                "from_offset": 3, "next_offset": 7}]);
        OutboxRow {
            id: Uuid::from_u128(1),
            created_at: "2026-01-31T12:00:00.000042Z".parse().unwrap(),
            positions: serde_json::value::to_raw_value(&positions).unwrap(),
            said: Said { datasets: (0..count).map(|n| Uuid::from_u128(n).to_string()).collect() },
        }
    }

    fn read(message: &[u8]) -> Value {
        serde_json::from_slice(message).unwrap()
    }

    #[test]
    fn names_the_file_as_the_existing_service_does() {
        let row = row(2);
        let name = file_name(&row);
        assert_eq!(name, format!("2026-01-31T12-00-00-000042-{}.json", row.id));
        let message = read(&TELLER.with_file(&row, &name).unwrap());
        assert_eq!(
            message,
            json!({"type": "batch-ingested", "batch_id": row.id.to_string(),
                   "origin": "prompt_processing", "batch_file": name, "source": "butler",
                   "positions": read(row.positions.get().as_bytes())})
        );
        let content = file_content(row.id, &row.said.datasets).unwrap();
        let expected = json!({"batch_id": row.id.to_string(), "datasets": row.said.datasets});
        assert_eq!(read(&content), expected);
    }

    #[test]
    fn splits_below_the_limit_and_loses_nothing() {
        for (count, limit) in [(1, 1000), (100, 1000), (1000, 1024), (1000, 65_536), (9, 1)] {
            let row = row(count);
            let messages = TELLER.with_datasets(&row, limit).unwrap();
            let mut datasets = Vec::new();
            for (index, message) in messages.iter().enumerate() {
                let content = read(message);
                assert_eq!(
                    (&content["part"], &content["parts"]),
                    (&json!(index + 1), &json!(messages.len()))
                );
                assert!(content.get("batch_file").is_none());
                let ids = content["datasets"].as_array().unwrap();
                assert!(message.len() <= limit || ids.len() == 1, "{} of {limit}", message.len());
                datasets.extend(ids.iter().map(|id| id.as_str().unwrap().to_owned()));
            }
            assert_eq!(datasets, row.said.datasets);
            assert_eq!(messages.len() == 1, count == 1 || limit == 65_536 && count == 1000);
        }
    }
}
