//! Whether the writer can work, and what keeps it from it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// A thing that the writer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The Kafka cluster.
    Broker,
    /// The primary, the extension in it, and the targets.
    Database,
    /// The claim on the partitions.
    Claim,
    /// The topics. They are shown only while some are missing.
    Topics,
    /// The store that has the files of datasets. It is shown while it is down alone, since it is not
    /// asked before there is a file.
    Files,
    /// One partition.
    Partition,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broker => "broker",
            Self::Database => "database",
            Self::Claim => "claim",
            Self::Topics => "topics",
            Self::Files => "files",
            Self::Partition => "partition",
        })
    }
}

/// The state of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Which.
    pub component: Component,
    /// Whether it is as it should be.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// The state of all components, shared between the pipelines and `/readyz`.
#[derive(Debug)]
pub struct Health {
    statuses: Mutex<Vec<Status>>,
    /// Workers whose claim is lost.
    without_claim: Mutex<BTreeSet<usize>>,
}

impl Default for Health {
    fn default() -> Self {
        let starting =
            |component| Status { component, ready: false, reason: Some("starting".to_owned()) };
        let components = [Component::Broker, Component::Database, Component::Claim];
        let statuses = Mutex::new(components.map(starting).into());
        Self { statuses, without_claim: Mutex::default() }
    }
}

impl Health {
    /// The component is as it should be. Says whether it was not.
    pub fn up(&self, component: Component) -> bool {
        self.set(component, true, None)
    }

    /// The component keeps the writer from working. Says whether that is new.
    pub fn down(&self, component: Component, reason: impl Into<String>) -> bool {
        self.set(component, false, Some(reason.into()))
    }

    /// A worker has claimed what it is to own. The claim is as it should be if all have.
    pub fn claimed(&self, worker: usize) {
        let mut without_claim = lock(&self.without_claim);
        without_claim.remove(&worker);
        if without_claim.is_empty() {
            self.up(Component::Claim);
        }
    }

    /// A worker has lost its claim.
    pub fn unclaimed(&self, worker: usize) {
        let mut without_claim = lock(&self.without_claim);
        without_claim.insert(worker);
        self.down(Component::Claim, "no partitions are claimed");
    }

    /// All components.
    pub fn statuses(&self) -> Vec<Status> {
        let is_shown = |status: &&Status| {
            !matches!(status.component, Component::Topics | Component::Files) || !status.ready
        };
        lock(&self.statuses).iter().filter(is_shown).cloned().collect()
    }

    fn set(&self, component: Component, ready: bool, reason: Option<String>) -> bool {
        let mut statuses = lock(&self.statuses);
        match statuses.iter_mut().find(|status| status.component == component) {
            Some(status) => {
                let changed = status.ready != ready;
                status.ready = ready;
                status.reason = reason;
                changed
            }
            None => {
                statuses.push(Status { component, ready, reason });
                !ready
            }
        }
    }
}

/// A panic elsewhere can't leave a status half-written, so poison is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Component, Health};

    #[test]
    fn tells_changes() {
        let health = Health::default();
        assert!(health.up(Component::Broker));
        assert!(!health.up(Component::Broker));
        assert!(!health.down(Component::Database, "gone"));
        let statuses = health.statuses();
        assert!(statuses[0].ready && statuses[0].reason.is_none());
        assert_eq!(statuses[1].reason.as_deref(), Some("gone"));
    }

    #[test]
    fn topics_and_a_store_are_shown_while_they_are_down() {
        for component in [Component::Topics, Component::Files] {
            let health = Health::default();
            assert!(!health.up(component));
            assert_eq!(health.statuses().len(), 3);
            assert!(health.down(component, "gone"));
            assert_eq!(health.statuses()[3].reason.as_deref(), Some("gone"));
            assert!(health.up(component));
            assert_eq!(health.statuses().len(), 3);
        }
    }

    #[test]
    fn the_claim_is_that_of_all_workers() {
        let health = Health::default();
        let is_claimed = || health.statuses()[2].ready;
        health.claimed(0);
        assert!(is_claimed());
        health.unclaimed(1);
        health.claimed(0);
        assert!(!is_claimed());
        health.claimed(1);
        assert!(is_claimed());
    }
}
