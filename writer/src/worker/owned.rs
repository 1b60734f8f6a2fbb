//! What a worker's session owns.

use std::collections::BTreeSet;

use prometheus::IntGauge;

use super::{Database, Worker};
use crate::failure::Failure;
use crate::ownership::{Key, lock};

/// Partitions that a session owns, counted while this value lives.
pub(super) struct Owned {
    partitions: BTreeSet<Key>,
    gauge: IntGauge,
}

impl Owned {
    pub fn new(partitions: BTreeSet<Key>, gauge: IntGauge) -> Self {
        let owned = Self { partitions, gauge };
        owned.gauge.add(owned.count());
        owned
    }

    pub fn partitions(&self) -> &BTreeSet<Key> {
        &self.partitions
    }

    fn count(&self) -> i64 {
        i64::try_from(self.partitions.len()).unwrap_or(i64::MAX)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.gauge.sub(self.count());
    }
}

impl Worker {
    /// Gives back what it is not to own any more, and leaves its session for the next claim. All
    /// that was read must be merged.
    ///
    /// # Errors
    /// What the database said.
    pub async fn give_back(mut self, wanted: &BTreeSet<Key>) -> Result<Database, Failure> {
        let given_back: BTreeSet<Key> =
            self.owned.partitions().difference(wanted).cloned().collect();
        self.end_reading();
        let source = self.surroundings.config.source.name.as_str();
        lock::disown(&self.database.session, source, &given_back).await?;
        self.surroundings.metrics.give_backs.inc_by(given_back.len() as u64);
        Ok(self.database)
    }
}
