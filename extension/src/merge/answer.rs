//! What a merge answers.

use serde::Serialize;

use crate::attempt::Raised;
use crate::target::Target;

/// The answer of `forebay.merge`.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    /// `set`, `walk` or `mixed`.
    pub path: &'static str,
    /// How many sets were merged.
    pub runs: u32,
    /// How many events were applied one by one.
    pub walked: u32,
    /// How many times writing a set raised what no look had foreseen.
    pub unforeseen: u32,
    /// How many subtransactions the merge began.
    pub subtransactions: u32,
    /// What became of the rows of each target.
    pub targets: Vec<Tally>,
    /// The events that were rejected.
    pub rejected: Vec<Rejection>,
    /// Seconds per step.
    pub seconds: Seconds,
}

/// Seconds that each step took; the fence's are added by the caller.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Seconds {
    /// Counting what was staged.
    pub count: f64,
    /// Looking at what is stored.
    pub look: f64,
    /// Writing.
    pub write: f64,
}

/// What became of the rows that were staged for one target. Rows of rejected events are in none. A
/// row that a later one of its set replaces counts as unchanged: it wrote nothing.
#[derive(Debug, Clone, Serialize)]
pub struct Tally {
    /// Schema-qualified, as people write it.
    pub relation: String,
    /// New rows.
    pub inserted: u64,
    /// Stored rows that were changed.
    pub updated: u64,
    /// Rows that wrote nothing: already so, or kept out by policy or a later row.
    pub unchanged: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// An event that was rejected, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Rejection {
    /// Its number in the batch.
    pub event: i32,
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The message.
    pub message: String,
    /// The table that refused it.
    pub target: Option<String>,
    /// The constraint that refused it.
    pub constraint: Option<String>,
}

impl Tally {
    /// Nothing yet.
    pub fn of(target: &Target) -> Self {
        Tally {
            relation: target.display.clone(),
            inserted: 0,
            updated: 0,
            unchanged: 0,
            deleted: 0,
        }
    }

    /// Both together.
    pub fn add(&mut self, other: &Tally) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.deleted += other.deleted;
    }
}

impl Rejection {
    /// The rejection of an event by the error that it met.
    pub fn new(event: i32, raised: &Raised) -> Self {
        let target = raised.table.as_ref().map(|table| match &raised.schema {
            Some(schema) => format!("{schema}.{table}"),
            None => table.clone(),
        });
        Rejection {
            event,
            sqlstate: raised.sqlstate.clone(),
            message: raised.message.clone(),
            target,
            constraint: raised.constraint.clone(),
        }
    }
}
