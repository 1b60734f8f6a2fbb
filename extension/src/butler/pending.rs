//! What resolving leaves to be done after the merge, when it is known which events are rejected.

use std::cell::RefCell;
use std::collections::BTreeSet;

use pgrx::JsonB;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::chains::Chains;
use super::runs;
use crate::attempt::{Attempt, Raised, attempt};

thread_local! {
    /// What the current transaction has left, if it has.
    static PENDING: RefCell<Option<Pending>> = const { RefCell::new(None) };
}

/// What a transaction has left to be done.
pub struct Pending {
    /// Its id.
    pub transaction: u64,
    /// The repository's schema.
    pub schema: String,
    /// The runs that it has made.
    pub runs: Vec<i64>,
    /// What its events ask of chains.
    pub chains: Option<Chains>,
    /// Events, each with an earlier one without which it would have been resolved otherwise.
    pub assumed: Vec<(i32, i32)>,
}

/// What `forebay.butler_finish` answers.
#[derive(Debug, Default, Serialize)]
struct Finished {
    /// Events to be excluded when the batch is resolved again, from its start: that they are rejected was
    /// not known, and others depend on it. If there are none, all is done.
    exclude: Vec<i32>,
}

impl Pending {
    /// Keeps it for the end of the transaction; returns whether there is anything to be done.
    pub fn keep(self) -> bool {
        let is_pending = !self.runs.is_empty() || self.chains.is_some() || !self.assumed.is_empty();
        PENDING.set(is_pending.then_some(self));
        is_pending
    }

    /// The first event that was resolved as it would not have been, had it been known which events are
    /// rejected.
    fn first_misjudged(&self, rejected: &BTreeSet<i32>) -> Option<i32> {
        let assumed = self.assumed.iter().filter(|(_, earlier)| rejected.contains(earlier));
        let assumed = assumed.map(|(event, _)| *event).min();
        let of_chains = self.chains.as_ref().and_then(|chains| chains.first_misjudged(rejected));
        [assumed, of_chains].into_iter().flatten().min()
    }

    fn finish(self, attempt: &Attempt, rejected: &BTreeSet<i32>) -> Result<Finished, Raised> {
        if let Some(event) = self.first_misjudged(rejected) {
            return Ok(Finished { exclude: rejected.range(..event).copied().collect() });
        }
        Spi::connect_mut(|client| {
            if !self.runs.is_empty() {
                runs::remove_unused(attempt, client, &self.schema, &self.runs)?;
            }
            if let Some(chains) = &self.chains {
                chains.apply(attempt, client, rejected)?;
            }
            Ok(Finished::default())
        })
    }
}

/// Does what this transaction's resolving has left: chains are changed as the events ask that are not
/// among the `rejected`, and runs that none of them names are removed.
///
/// Answers as `forebay.butler_finish` does, or with the error that it is to raise.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn butler_finish_resolved(rejected: Vec<i32>) -> JsonB {
    // SAFETY: a transaction that has left something has an id; another one gets one now.
    let transaction = unsafe { pg_sys::GetTopFullTransactionId() }.value;
    let pending = PENDING.take().filter(|pending| pending.transaction == transaction);
    let rejected = rejected.into_iter().collect();
    let finished = attempt(|attempt| match pending {
        Some(pending) => pending.finish(attempt, &rejected),
        None => Ok(Finished::default()),
    });
    match finished {
        Ok(finished) => JsonB(json!(finished)),
        Err(raised) => JsonB(json!({ "error": raised })),
    }
}
