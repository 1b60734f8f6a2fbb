//! What a worker looks at once a second, between two batches.

use std::collections::BTreeSet;

use super::Worker;
use crate::claim::{Seen, look};
use crate::failure::Failure;
use crate::ownership::{Key, lock};

impl Worker {
    /// Compares progress and the server with what the claim expects, and says whether there is
    /// more to claim: a stopped partition that was resumed, or one that another has given back.
    ///
    /// # Errors
    /// If the database does not answer, or something is otherwise.
    pub(super) async fn look(&mut self) -> Result<bool, Failure> {
        let source = self.surroundings.config.source.name.clone();
        let seen = look(self.session(), &source).await?;
        self.surroundings.observe(seen.server)?;
        self.claim.compare(&seen).map_err(Failure::Surprised)?;
        let resumed = self.find_resumed(&seen);
        let missing: BTreeSet<Key> =
            self.wanted.difference(self.owned.partitions()).cloned().collect();
        let owned = lock::own(self.session(), &source, &missing).await?;
        self.surroundings.metrics.take_overs.inc_by(owned.taken);
        Ok(resumed || !owned.partitions.is_empty())
    }

    fn find_resumed(&self, seen: &Seen) -> bool {
        let stopped = &self.surroundings.stopped;
        let found = |key: &&Key| {
            let mark = seen.marks.get(*key).copied();
            mark.is_some_and(|mark| stopped.observe(&key.0, key.1, mark))
        };
        // All are looked at, not only the first that was resumed.
        self.owned.partitions().iter().filter(found).count() > 0
    }
}
