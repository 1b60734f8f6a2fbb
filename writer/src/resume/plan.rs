//! What resuming a partition will do, in words.

use std::fmt;

use super::Decided;
use super::progress::Stored;
use crate::position::Offset;

/// A change of progress, before it is made.
#[derive(Debug)]
pub(super) struct Plan {
    pub source: String,
    pub stored: Stored,
    pub decided: Decided,
}

/// What can't be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// What the Kafka client says.
    pub reason: String,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decided { topic, partition, cluster_id, log, next_offset, unreadable } = &self.decided;
        let stored = &self.stored;
        writeln!(f, "source     {}", self.source)?;
        writeln!(f, "partition  {topic}/{partition}")?;
        writeln!(f, "progress   offset {}, {}", stored.next_offset, stored.since)?;
        if let (Some(before), Some(now)) = (&stored.cluster_id, cluster_id)
            && before != now
        {
            writeln!(f, "cluster    {now}; progress is of another one, {before}")?;
        }
        if log.low == log.high {
            writeln!(f, "log        empty, ends at offset {}", log.high)?;
        } else {
            writeln!(f, "log        begins at offset {}, ends at {}", log.low, log.high)?;
        }
        writeln!(f, "go on at   offset {next_offset}")?;
        if let Some(Unreadable { reason }) = unreadable {
            let skipped = range(stored.next_offset, *next_offset);
            return write!(
                f,
                "unreadable {skipped}: {reason}; become dead letters without payload"
            );
        }
        f.write_str(&effect(stored.next_offset, *next_offset, log.low))
    }
}

/// What is skipped, or repeated.
fn effect(before: Offset, after: Offset, low: Offset) -> String {
    if after > before {
        let gone = low.min(after);
        let mut parts = Vec::new();
        if gone > before {
            parts.push(format!("{}, which the log no longer has", range(before, gone)));
        }
        if after > before.max(gone) {
            parts.push(format!("{}, which the log still has", range(before.max(gone), after)));
        }
        format!("skipped    {}: never merged", parts.join("; "))
    } else if after < before {
        let again = range(after, before);
        format!("repeated   {again}: merged again, and twice where a target's policy is append")
    } else {
        "skipped    nothing, and nothing is repeated".to_owned()
    }
}

/// The offsets from the one to before the other.
fn range(first: Offset, end: Offset) -> String {
    match end.0 - first.0 {
        1 => format!("offset {first}"),
        count => format!("{count} offsets, {first} to {}", end.0 - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{Decided, Plan, Stored, Unreadable, effect};
    use crate::log_check::LogRange;
    use crate::position::{Offset, Partition, Topic};

    #[test]
    fn says_what_is_lost_and_what_is_repeated() {
        let effect = |before, after, low| effect(Offset(before), Offset(after), Offset(low));
        let gone = "skipped    4 offsets, 5 to 8, which the log no longer has: never merged";
        assert_eq!(effect(5, 9, 9), gone);
        let there = "skipped    offset 5, which the log still has: never merged";
        assert_eq!(effect(5, 6, 0), there);
        let both = effect(5, 12, 9);
        assert!(both.contains("4 offsets, 5 to 8, which the log no longer has"), "{both}");
        assert!(both.contains("3 offsets, 9 to 11, which the log still has"), "{both}");
        let again = effect(9, 2, 0);
        assert!(again.starts_with("repeated   7 offsets, 2 to 8: merged again"), "{again}");
        assert_eq!(effect(9, 9, 0), "skipped    nothing, and nothing is repeated");
    }

    #[test]
    fn shows_all_that_the_decision_rests_on() {
        let stored = Stored {
            next_offset: Offset(5),
            cluster_id: Some("old".to_owned()),
            since: "changed then by host:1".to_owned(),
        };
        let decided = Decided {
            topic: Topic::from("t"),
            partition: Partition(3),
            cluster_id: Some("new".to_owned()),
            log: LogRange { low: Offset(5), high: Offset(20) },
            next_offset: Offset(9),
            unreadable: Some(Unreadable { reason: "bad checksum".to_owned() }),
        };
        let said = Plan { source: "s".to_owned(), stored, decided }.to_string();
        for expected in [
            "source     s\n",
            "partition  t/3\n",
            "progress   offset 5, changed then by host:1\n",
            "cluster    new; progress is of another one, old\n",
            "log        begins at offset 5, ends at 20\n",
            "go on at   offset 9\n",
            "unreadable 4 offsets, 5 to 8: bad checksum; become dead letters",
        ] {
            assert!(said.contains(expected), "no `{expected}` in\n{said}");
        }
    }
}
