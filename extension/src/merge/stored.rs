//! What the looks have found to be stored of a run's rows.

use std::collections::BTreeSet;

use pgrx::pg_sys::ItemPointerData;

/// What is stored of the rows that a part has in a run.
#[derive(Debug, Default, Clone)]
pub struct Stored {
    /// Rows that don't delete.
    pub upserts: i64,
    /// Where those of them stand in the staging table that later ones replace.
    pub replaced: Vec<ItemPointerData>,
    /// The others whose keys are stored.
    pub stored: Staged,
    /// Those of these that are to be updated.
    pub differing: Staged,
}

/// Staged rows.
#[derive(Debug, Default, Clone)]
pub struct Staged {
    /// Where they stand in the staging table.
    pub places: Vec<ItemPointerData>,
    /// The event of each.
    pub events: Vec<i32>,
}

impl Stored {
    /// How many rows are to be inserted: one for each key that is not stored.
    pub fn new_rows(&self) -> i64 {
        self.upserts - (self.replaced.len() + self.stored.places.len()) as i64
    }

    /// Where the rows stand that are not to be inserted.
    pub fn not_inserted(&self) -> Vec<ItemPointerData> {
        self.replaced.iter().chain(&self.stored.places).copied().collect()
    }

    /// What is left when these events are removed, with so many rows that don't delete. No row may be
    /// replaced.
    pub fn remove(&mut self, events: &BTreeSet<i32>, upserts: i64) {
        self.upserts -= upserts;
        self.stored.remove(events);
        self.differing.remove(events);
    }
}

impl Staged {
    fn remove(&mut self, events: &BTreeSet<i32>) {
        let kept = |number: &usize| !events.contains(&self.events[*number]);
        let kept: Vec<_> = (0..self.events.len()).filter(kept).collect();
        if kept.len() < self.events.len() {
            self.places = kept.iter().map(|number| self.places[*number]).collect();
            self.events = kept.iter().map(|number| self.events[*number]).collect();
        }
    }
}
