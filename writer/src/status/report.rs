//! What was seen. A part that did not answer says why.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::PgLsn;

use crate::position::{Offset, Partition, Topic};

/// Where a partition is.
pub type Key = (Topic, Partition);

/// All that was seen.
#[derive(Debug)]
pub struct Report {
    /// The source's name.
    pub source: String,
    /// The broker, by its configured servers.
    pub broker: Part<Broker>,
    /// The primary.
    pub primary: Part<Primary>,
    /// The replicas, in the order of the configuration.
    pub replicas: Vec<Part<Replica>>,
}

/// A part, where it is, and what it answered.
#[derive(Debug)]
pub struct Part<T> {
    /// Which one it is.
    pub place: String,
    /// What it has, or why that is not known.
    pub seen: Result<T, String>,
}

/// The broker's side.
#[derive(Debug)]
pub struct Broker {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The read-committed end of each partition.
    pub ends: BTreeMap<Key, Offset>,
}

/// The primary's side.
#[derive(Debug)]
pub struct Primary {
    /// PostgreSQL's version.
    pub version: String,
    /// The end of its log.
    pub lsn: PgLsn,
    /// Progress of the source.
    pub progress: BTreeMap<Key, Progress>,
    /// Sources of the database besides this one.
    pub other_sources: Vec<String>,
    /// The source's writer processes, the eldest first, or why they are not shown.
    pub writers: Result<Vec<WriterRow>, String>,
    /// The source's dead letters by reason, or why they are not shown.
    pub dead_letters: Result<Vec<Reason>, String>,
    /// The registered targets.
    pub targets: Vec<TargetRow>,
}

/// Progress of one partition.
#[derive(Debug)]
pub struct Progress {
    /// The offset to merge next.
    pub next_offset: Offset,
    /// How long ago it changed, in seconds.
    pub age_seconds: f64,
    /// Who claimed it last.
    pub claimant: Option<String>,
}

/// A writer process.
#[derive(Debug)]
pub struct WriterRow {
    /// What it calls itself.
    pub claimant: String,
    /// How long ago its heart last beat, in seconds.
    pub beat_age_seconds: f64,
    /// Whether that is young enough for it to live.
    pub is_live: bool,
    /// Whether it can take partitions.
    pub is_able: bool,
}

/// Dead letters of one reason.
#[derive(Debug)]
pub struct Reason {
    /// How many.
    pub count: i64,
    /// Their SQLSTATE.
    pub sqlstate: String,
    /// The table that refused them.
    pub target: Option<String>,
    /// The constraint that refused them.
    pub constraint: Option<String>,
    /// When the last one was rejected.
    pub last_seen: String,
}

/// A registered target.
#[derive(Debug)]
pub struct TargetRow {
    /// The table as SQL names it; the number of one that is gone.
    pub relation: String,
    /// What an existing row means.
    pub on_conflict: String,
    /// The key's columns.
    pub key: Vec<String>,
}

/// A replica's side.
#[derive(Debug)]
pub struct Replica {
    /// How far it has replayed the primary's log; none if it is no replica.
    pub replay: Option<Replay>,
    /// The offset to merge next, as a reader there sees it.
    pub progress: BTreeMap<Key, Offset>,
}

/// How far a replica has come.
#[derive(Debug)]
pub struct Replay {
    /// Up to where.
    pub lsn: PgLsn,
    /// How long ago the last transaction was committed that it has replayed, in seconds, if it has
    /// received more.
    pub age_seconds: Option<f64>,
    /// Whether somebody has paused it.
    pub is_paused: bool,
}

impl Report {
    /// Every partition that broker or primary know.
    pub fn partitions(&self) -> BTreeSet<&Key> {
        let ends = self.broker.seen.iter().flat_map(|broker| broker.ends.keys());
        let progress = self.primary.seen.iter().flat_map(|primary| primary.progress.keys());
        ends.chain(progress).collect()
    }

    /// The end of a partition, if the broker told.
    pub fn end(&self, key: &Key) -> Option<Offset> {
        self.broker.seen.as_ref().ok()?.ends.get(key).copied()
    }

    /// The progress of a partition, if the primary told.
    pub fn progress(&self, key: &Key) -> Option<&Progress> {
        self.primary.seen.as_ref().ok()?.progress.get(key)
    }

    /// How many offsets are still to be merged, if both told. (Offsets may have gaps.)
    pub fn lag(&self, key: &Key) -> Option<i64> {
        let next = self.progress(key)?.next_offset;
        Some(self.end(key)?.0.saturating_sub(next.0).max(0))
    }

    /// How much of the primary's log a replica has not replayed, in bytes, if both told.
    pub fn replay_lag(&self, replay: &Replay) -> Option<u64> {
        let primary = self.primary.seen.as_ref().ok()?.lsn;
        Some(u64::from(primary).saturating_sub(replay.lsn.into()))
    }

    /// What did not answer, or not as it should.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(self.broker.problem("broker"));
        problems.extend(self.primary.problem("primary"));
        for replica in &self.replicas {
            problems.extend(replica.problem("replica"));
            if replica.seen.as_ref().is_ok_and(|replica| replica.replay.is_none()) {
                problems.push(format!("replica {}: it is no replica", replica.place));
            }
        }
        problems
    }
}

impl<T> Part<T> {
    fn problem(&self, kind: &str) -> Option<String> {
        let reason = self.seen.as_ref().err()?;
        Some(format!("{kind} {}: {reason}", self.place))
    }
}
