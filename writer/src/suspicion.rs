//! Whether an event may be to blame for an error that nobody foresaw.
//!
//! An error that the merge does not take for an event's fault aborts the batch, which is tried again.
//! If it aborts again and again with the same SQLSTATE, one event may be the reason after all: then
//! the merge is told to suspect it, and rejects the events that raise it, if others are merged.

use crate::retry::{Place, may_be_suspected};
use crate::session::DatabaseError;

/// After so many equal aborts.
const ABORTS: u32 = 5;

/// What the aborts of one batch have in common.
#[derive(Debug, Default)]
pub struct Suspicion {
    sqlstate: Option<String>,
    aborts: u32,
}

impl Suspicion {
    /// Takes note of an abort. Answers whether it is for this alone that the batch is to be tried
    /// again: once more than it takes to suspect an event.
    pub fn note(&mut self, error: &DatabaseError) -> bool {
        let sqlstate = error
            .sqlstate()
            .filter(|sqlstate| error.place() == Place::Merge && may_be_suspected(sqlstate));
        let Some(sqlstate) = sqlstate else {
            *self = Self::default();
            return false;
        };
        if self.sqlstate.as_deref() == Some(sqlstate) {
            self.aborts += 1;
        } else {
            *self = Self { sqlstate: Some(sqlstate.to_owned()), aborts: 1 };
        }
        self.aborts <= ABORTS
    }

    /// The SQLSTATE that is an event's fault, perhaps.
    pub fn suspected(&self) -> Option<&str> {
        self.sqlstate.as_deref().filter(|_| self.aborts >= ABORTS)
    }
}

#[cfg(test)]
mod tests {
    use super::Suspicion;
    use crate::retry::Place;
    use crate::session::DatabaseError;

    fn error(place: Place, sqlstate: &str) -> DatabaseError {
        DatabaseError::unreachable(Some(sqlstate.to_owned()), "no".to_owned()).at(place)
    }

    #[test]
    fn five_equal_aborts_make_a_suspect_and_a_sixth_one_clears_it() {
        let mut suspicion = Suspicion::default();
        for _ in 0..4 {
            assert!(suspicion.note(&error(Place::Merge, "ABC01")));
            assert_eq!(suspicion.suspected(), None);
        }
        assert!(suspicion.note(&error(Place::Merge, "ABC01")));
        assert_eq!(suspicion.suspected(), Some("ABC01"));
        assert!(!suspicion.note(&error(Place::Merge, "ABC01")), "it was no event's fault");
    }

    #[test]
    fn an_outage_and_another_error_start_over() {
        let mut suspicion = Suspicion::default();
        for sqlstate in ["ABC01", "ABC01", "ABC02", "ABC02", "ABC02", "ABC02"] {
            suspicion.note(&error(Place::Merge, sqlstate));
        }
        assert_eq!(suspicion.suspected(), None);
        for (place, sqlstate) in [(Place::Commit, "ABC02"), (Place::Merge, "53100")] {
            assert!(!suspicion.note(&error(place, sqlstate)));
        }
        assert!(suspicion.note(&error(Place::Merge, "ABC02")));
        assert_eq!(suspicion.suspected(), None);
    }
}
