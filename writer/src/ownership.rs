//! Who owns a partition: the database says, not the consumer group.
//!
//! A worker owns a partition by a session-level advisory lock on the primary. Each process shows by
//! a heartbeat that it lives. The [`steward`] of a process beats, looks who owns what, and tells
//! each worker which partitions to own, by the pure [`allocation`]; the [`topic_watch`] says which
//! partitions there are. Workers take and give back on their own sessions, by [`lock`]. Whatever
//! goes wrong here, tokens keep a partition from being written by two.

pub mod allocation;
mod known_topics;
pub mod lock;
pub mod steward;
pub mod topic_watch;

use std::collections::BTreeSet;

use tokio::sync::watch;

pub use allocation::Key;

/// What a worker is to own; none until the first decision.
pub type Wanted = watch::Receiver<Option<BTreeSet<Key>>>;

/// Partitions by topic, as the database's functions take them.
pub(crate) fn by_topic<'a>(
    keys: impl IntoIterator<Item = &'a Key>,
) -> impl Iterator<Item = (&'a str, Vec<i32>)> {
    let mut topics: std::collections::BTreeMap<&str, Vec<i32>> = Default::default();
    for (topic, partition) in keys {
        topics.entry(topic.as_str()).or_default().push(partition.0);
    }
    topics.into_iter()
}
