//! The rejected events of a batch, whoever refused them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::rejection::Rejection;

/// Why an event was refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reason {
    /// The kind of fault.
    pub sqlstate: String,
    /// What is wrong, for a person.
    pub message: String,
    /// The target that refused it, if one did.
    pub target: Option<String>,
    /// The constraint that it broke, if one.
    pub constraint: Option<String>,
}

/// An event that the database refused, by its number in the batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refused {
    /// The event's number.
    pub event: i32,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
}

/// All rejected events by their number, each with the first reason that was found.
#[derive(Debug, Default)]
pub struct Rejected(BTreeMap<i32, Reason>);

impl From<&Rejection> for Reason {
    fn from(rejection: &Rejection) -> Self {
        Self {
            sqlstate: rejection.sqlstate.as_str().to_owned(),
            message: rejection.message.clone(),
            target: rejection.target.clone(),
            constraint: rejection.constraint.clone(),
        }
    }
}

impl Rejected {
    /// Adds what decoding refused.
    pub fn add_decoded<'a>(&mut self, refused: impl Iterator<Item = (i32, &'a Rejection)>) {
        for (event, rejection) in refused {
            self.0.entry(event).or_insert_with(|| rejection.into());
        }
    }

    /// Adds what the database refused.
    pub fn add(&mut self, refused: Vec<Refused>) {
        for Refused { event, reason } in refused {
            self.0.entry(event).or_insert(reason);
        }
    }

    /// The events with their reasons, in order.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &Reason)> {
        self.0.iter().map(|(event, reason)| (*event, reason))
    }

    /// Whether this event is.
    pub fn contains(&self, event: i32) -> bool {
        self.0.contains_key(&event)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether so many of `events` are rejected that a setting must be wrong.
    pub fn is_too_many(&self, events: usize, max_share: f64, min_events: u64) -> bool {
        // Counts of one batch are far below 2^53.
        events as u64 >= min_events && self.len() as f64 > max_share * events as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{Reason, Refused, Rejected};

    fn refused(events: std::ops::Range<i32>) -> Vec<Refused> {
        let reason = Reason {
            sqlstate: "23505".to_owned(),
            message: "m".to_owned(),
            target: None,
            constraint: None,
        };
        events.map(|event| Refused { event, reason: reason.clone() }).collect()
    }

    #[test]
    fn a_large_share_of_a_large_batch_is_too_many() {
        let mut rejected = Rejected::default();
        rejected.add(refused(0..51));
        rejected.add(refused(0..10));
        assert_eq!(rejected.len(), 51);
        assert!(rejected.is_too_many(100, 0.5, 100));
        assert!(!rejected.is_too_many(102, 0.5, 100));
        assert!(!rejected.is_too_many(99, 0.5, 100));
        assert!(!rejected.is_too_many(51, 1.0, 1));
    }

    #[test]
    fn reads_the_database_s_answer() {
        let text = r#"{"event": 3, "sqlstate": "23503", "message": "m", "target": "public.child",
                       "constraint": null}"#;
        let refused: Refused = serde_json::from_str(text).unwrap();
        assert_eq!((refused.event, refused.reason.target.as_deref()), (3, Some("public.child")));
    }
}
