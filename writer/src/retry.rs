//! What to do about an error of the database: one table, by SQLSTATE and by where it came up.
//!
//! It only judges. What the event's data is to blame for never gets here: the merge answers with
//! it as a rejection. What is here is the world's fault, and never makes a dead letter.

/// What the writer was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Connecting, and looking at what is there.
    Connect,
    /// Looking who lives and who owns what; taking and giving back partitions.
    Own,
    /// Claiming partitions.
    Claim,
    /// Looking whether progress and the server are as expected.
    Look,
    /// Beginning a batch's transaction and taking a slot.
    Stage,
    /// Copying rows into a staging table.
    Copy,
    /// A format's own work on staged rows.
    Resolve,
    /// The merge.
    Merge,
    /// Recording dead letters.
    DeadLetters,
    /// Recording what a batch has to say.
    Outbox,
    /// Publishing the outbox, on a connection of its own.
    Publish,
    /// Deleting dead letters that were kept long enough.
    Expire,
    /// Recording which staged files are to go.
    Removals,
    /// Reading that, on a connection of its own.
    Remove,
    /// Committing.
    Commit,
    /// Showing a person what is there.
    Show,
    /// Changing progress for a person.
    Resume,
}

impl Place {
    /// The place as a verb, for messages.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Connect => "connect to the database",
            Self::Own => "own partitions",
            Self::Claim => "claim partitions",
            Self::Look => "look at progress",
            Self::Stage => "stage batch",
            Self::Copy => "copy batch",
            Self::Resolve => "resolve batch",
            Self::Merge => "merge batch",
            Self::DeadLetters => "record dead letters",
            Self::Outbox => "record outbox",
            Self::Publish => "publish outbox",
            Self::Expire => "delete old dead letters",
            Self::Removals => "record removals of staged files",
            Self::Remove => "remove staged files",
            Self::Commit => "commit batch",
            Self::Show => "look at the database",
            Self::Resume => "resume partition",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Roll back and try the same batch again on the same session.
    SameBatch,
    /// Drop session and buffers, connect and claim again.
    ClaimAgain,
    /// Claim again what this writer still owns: another has claimed since.
    Fenced,
    /// Stop these partitions, and claim the others again; a person has to look.
    StopPartitions,
    /// Stop the process; a person has to look.
    Stop,
}

/// A merge with a token that is not the partition's any more.
pub const FENCED: &str = "FB001";

/// A claim of a topic whose progress belongs to another Kafka cluster.
pub const OTHER_CLUSTER: &str = "55000";

/// Judges an error. No SQLSTATE means that the connection is gone or did not answer in time.
pub fn verdict(place: Place, sqlstate: Option<&str>) -> Verdict {
    use Verdict::{ClaimAgain, Fenced, SameBatch, StopPartitions};

    let Some(sqlstate) = sqlstate else { return ClaimAgain };
    let class = sqlstate.get(..2).unwrap_or_default();
    match (place, sqlstate, class) {
        (_, FENCED, _) => Fenced,
        // The topic belongs to another Kafka cluster than the progress that is stored.
        (Place::Claim, OTHER_CLUSTER, _) => StopPartitions,
        // Nothing is buffered yet that could be tried again.
        (Place::Connect | Place::Own | Place::Claim | Place::Look, _, _) => ClaimAgain,
        // Serialization failure, deadlock, lock not available, statement timeout or cancel.
        (_, "40001" | "40P01" | "55P03" | "57014", _) => SameBatch,
        // Staged rows are missing: whatever emptied the tables, staging anew fills them.
        (_, "FB002", _) => SameBatch,
        // Out of disk, memory or connections.
        (_, _, "53") => SameBatch,
        // Lost or refused connections, shutdowns, a primary that is none, a target that was
        // dropped or altered, a missing grant, and whatever nobody foresaw.
        _ => ClaimAgain,
    }
}

/// Whether an error of the merge that it does not take for an event's fault may be one all the same,
/// if it comes again and again: nothing that an outage or a missing right raises.
pub fn may_be_suspected(sqlstate: &str) -> bool {
    let class = sqlstate.get(..2).unwrap_or_default();
    let is_worlds = matches!(class, "08" | "40" | "53" | "57" | "58" | "FB")
        || matches!(sqlstate, "25006" | "42501" | "55P03");
    !is_worlds
}

/// Whether an error that a COPY raises over a row is the row's own fault: a literal that is none of
/// its type, names something that does not exist, or is too long. What the rows have no part in,
/// such as a full disk, is not.
pub fn copied_row_is_to_blame(sqlstate: &str) -> bool {
    /// The COPY itself is malformed: the writer's fault, not a row's.
    const BAD_COPY_FILE_FORMAT: &str = "22P04";
    match sqlstate.get(..2).unwrap_or_default() {
        "22" => sqlstate != BAD_COPY_FILE_FORMAT,
        // Unsupported, too large, and what types that name objects or have a syntax say.
        _ => matches!(
            sqlstate,
            "0A000" | "3F000" | "42601" | "42602" | "42704" | "42725" | "42883" | "42P01" | "54000"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Verdict, copied_row_is_to_blame, verdict};

    #[test]
    fn tells_a_bad_row_from_a_bad_day() {
        for sqlstate in ["22P02", "22003", "2200N", "22021", "42601", "42P01", "42704", "54000"] {
            assert!(copied_row_is_to_blame(sqlstate), "{sqlstate}");
        }
        for sqlstate in ["22P04", "53100", "57014", "42501", "42703", "55P03", "08P01", "XX000", ""]
        {
            assert!(!copied_row_is_to_blame(sqlstate), "{sqlstate}");
        }
    }

    #[test]
    fn judges_by_sqlstate_and_place() {
        use Verdict::{ClaimAgain, Fenced, SameBatch, StopPartitions};
        let table = [
            (Place::Merge, Some("40001"), SameBatch),
            (Place::Merge, Some("40P01"), SameBatch),
            (Place::Copy, Some("55P03"), SameBatch),
            (Place::Merge, Some("57014"), SameBatch),
            (Place::Merge, Some("53100"), SameBatch),
            (Place::Commit, Some("40001"), SameBatch),
            (Place::Merge, Some("FB002"), SameBatch),
            (Place::Merge, Some("FB001"), Fenced),
            (Place::Merge, Some("FB003"), ClaimAgain),
            (Place::Stage, Some("42501"), ClaimAgain),
            (Place::Stage, Some("25006"), ClaimAgain),
            (Place::Merge, Some("57P01"), ClaimAgain),
            (Place::Commit, Some("57P01"), ClaimAgain),
            (Place::Commit, None, ClaimAgain),
            (Place::Connect, Some("53300"), ClaimAgain),
            (Place::Claim, Some("40P01"), ClaimAgain),
            (Place::Claim, Some("55000"), StopPartitions),
            (Place::Own, Some("55P03"), ClaimAgain),
            (Place::Look, Some("57014"), ClaimAgain),
            (Place::Merge, Some("XX000"), ClaimAgain),
            (Place::Merge, Some("?"), ClaimAgain),
        ];
        for (place, sqlstate, expected) in table {
            assert_eq!(verdict(place, sqlstate), expected, "{place:?} {sqlstate:?}");
        }
    }
}
