//! Messages, as a consumer reads them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use forebay_tests::received::Received;
use serde::Deserialize;

/// A message.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    pub r#type: String,
    pub batch_id: String,
    pub origin: String,
    pub source: String,
    pub batch_file: Option<String>,
    pub positions: Vec<Position>,
    pub part: Option<usize>,
    pub parts: Option<usize>,
    #[serde(default)]
    pub datasets: Vec<String>,
    /// Of the message, in bytes.
    #[serde(skip)]
    pub length: usize,
}

/// What a batch has merged of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Position {
    pub topic: String,
    pub partition: i32,
    pub token: String,
    pub from_offset: i64,
    pub next_offset: i64,
}

impl Told {
    pub fn read(received: &Received) -> Result<Self> {
        let payload = received.payload.as_deref().context("no payload")?;
        let told: Self = serde_json::from_slice(payload)
            .with_context(|| String::from_utf8_lossy(payload).into_owned())?;
        ensure!(told.r#type == "batch-ingested", "type {}", told.r#type);
        Ok(Self { length: payload.len(), ..told })
    }

    /// Whether it tells of this event's batch.
    pub fn covers(&self, partition: i32, offset: i64) -> bool {
        self.positions.iter().any(|position| {
            position.partition == partition
                && (position.from_offset..position.next_offset).contains(&offset)
        })
    }
}

/// All datasets of these messages, as often as they come.
pub fn datasets(told: &[Told]) -> Vec<String> {
    let mut all: Vec<String> = told.iter().flat_map(|one| one.datasets.iter().cloned()).collect();
    all.sort_unstable();
    all
}

/// What a consumer makes of it that drops the parts of positions that it has had.
pub fn without_repetitions(told: &[Told]) -> Vec<Told> {
    let mut had = BTreeSet::new();
    told.iter().filter(|one| had.insert((one.positions.clone(), one.part))).cloned().collect()
}
