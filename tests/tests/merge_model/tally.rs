//! What a run has met, so that a test can say that it met enough.

use std::collections::BTreeMap;

use crate::feature::Feature;
use crate::merge::Answer;
use crate::schema::Schema;

/// Counts over many streams.
#[derive(Debug, Default)]
pub struct Tally {
    pub streams: usize,
    pub events: usize,
    pub rejected: usize,
    /// Batches of more than one event.
    pub batches: usize,
    /// Those of them that were merged as sets, if not throughout.
    pub sets: usize,
    /// How many writes of sets raised what no look had foreseen.
    pub unforeseen: usize,
    /// Rejections whose reason was compared.
    pub reasons: usize,
    /// Those whose SQLSTATE and constraint the reference saw, too.
    pub exact_reasons: usize,
    /// Streams by what the foreign keys of their schemas are.
    pub features: BTreeMap<Feature, usize>,
}

impl Tally {
    /// Counts a stream.
    pub fn count_stream(&mut self, schema: &Schema) {
        self.streams += 1;
        for feature in schema.features() {
            *self.features.entry(feature).or_default() += 1;
        }
    }

    /// Counts a merged batch.
    pub fn count(&mut self, events: usize, answer: &Answer) {
        self.events += events;
        self.rejected += answer.rejected.len();
        self.unforeseen += answer.unforeseen;
        if events > 1 {
            self.batches += 1;
            self.sets += usize::from(answer.path != "walk");
        }
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.streams += other.streams;
        self.events += other.events;
        self.rejected += other.rejected;
        self.batches += other.batches;
        self.sets += other.sets;
        self.unforeseen += other.unforeseen;
        self.reasons += other.reasons;
        self.exact_reasons += other.exact_reasons;
        for (feature, streams) in &other.features {
            *self.features.entry(*feature).or_default() += streams;
        }
    }
}
