//! Which primary a session is on, and whether it is one that was left behind.

use std::collections::HashMap;
use std::fmt;

/// A primary: its cluster, and the timeline that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Server {
    /// The cluster's system identifier; a physical replica has its primary's.
    pub system_identifier: i64,
    /// Raised by every promotion.
    pub timeline: i32,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = self.system_identifier.cast_unsigned();
        write!(f, "timeline {} of system {system}", self.timeline)
    }
}

/// A primary that was left behind by a promotion, and came back writable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an old primary came back: it is at {found}, and this process has seen timeline {seen} of it. \
     Nothing is merged there: what it takes is not in the database that replaced it. Shut it down, \
     and make it a replica (pg_rewind); or start the writer again if it is right after all"
)]
pub struct OldPrimary {
    /// The primary that was found.
    pub found: Server,
    /// The highest timeline of its cluster that was seen.
    pub seen: i32,
}

/// The primaries that a process has seen, over all sessions.
#[derive(Debug, Default)]
pub struct ServerHistory {
    highest: HashMap<i64, i32>,
}

impl ServerHistory {
    /// A session is on this server. Says whether its cluster was seen at a lower timeline before:
    /// that is a failover.
    ///
    /// # Errors
    /// If its cluster was seen at a higher one.
    pub fn observe(&mut self, found: Server) -> Result<bool, OldPrimary> {
        let highest = self.highest.entry(found.system_identifier).or_insert(found.timeline);
        if found.timeline < *highest {
            return Err(OldPrimary { found, seen: *highest });
        }
        let promoted = found.timeline > *highest;
        *highest = found.timeline;
        Ok(promoted)
    }
}

#[cfg(test)]
mod tests {
    use super::{Server, ServerHistory};

    #[test]
    fn refuses_a_primary_that_was_left_behind() {
        let at = |system_identifier, timeline| Server { system_identifier, timeline };
        let mut history = ServerHistory::default();
        assert_eq!(history.observe(at(7, 1)), Ok(false));
        assert_eq!(history.observe(at(7, 3)), Ok(true));
        let error = history.observe(at(7, 2)).unwrap_err();
        assert_eq!((error.found, error.seen), (at(7, 2), 3));
        assert_eq!(history.observe(at(7, 3)), Ok(false), "and remembers");
        assert_eq!(
            history.observe(at(8, 1)),
            Ok(false),
            "another cluster has timelines of its own"
        );
        assert!(history.observe(at(7, 1)).is_err(), "and the first is not forgotten for it");
    }
}
