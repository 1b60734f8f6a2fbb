//! The look once a second, also when nothing arrives: is progress as this claim left it, and the
//! server the one that it was?

use std::collections::BTreeMap;
use std::fmt;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Claim;
use crate::ownership::Key;
use crate::position::{Offset, Partition, Topic};
use crate::retry::Place;
use crate::server::Server;
use crate::session::{DatabaseError, Session};
use crate::stopped_partition::Mark;

const LOOK: &str = include_str!("look.sql");

/// What a look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where it looked.
    pub server: Server,
    /// What progress says of each of the source's partitions.
    pub marks: BTreeMap<Key, Mark>,
}

/// Something is other than this claim left it. Whatever it is, the claim is good for nothing more:
/// drop it with all that was read under it, and claim again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surprise {
    /// The session is on another server, or that was promoted.
    Server {
        /// Where the claim was made.
        claimed: Server,
        /// Where the session is.
        found: Server,
    },
    /// Another has claimed the partition since.
    Token(Key),
    /// Progress is elsewhere, under this claim's own token: it went back, or somebody changed it.
    Offset {
        /// The partition.
        key: Key,
        /// Where this claim left it.
        expected: Offset,
        /// Where it is.
        found: Offset,
    },
    /// The partition's row is gone.
    Gone(Key),
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { claimed, found } => {
                write!(f, "the server is at {found}, and partitions were claimed at {claimed}")
            }
            Self::Token((topic, partition)) => {
                write!(f, "{topic}/{partition} was claimed by another")
            }
            Self::Offset { key: (topic, partition), expected, found } => {
                write!(f, "{topic}/{partition} is at offset {found}, not at {expected}")
            }
            Self::Gone((topic, partition)) => write!(f, "{topic}/{partition} has no progress"),
        }
    }
}

/// Looks.
///
/// # Errors
/// What the database said.
pub async fn look(session: &Session, source: &str) -> Result<Seen, DatabaseError> {
    let statement = session.statement(Place::Look, LOOK).await?;
    let parameters: [&(dyn ToSql + Sync); 1] = [&source];
    let rows = session.client().query(&statement, &parameters);
    let rows = session.within(Place::Look, rows).await?;
    read(&rows).map_err(|error| DatabaseError::answer(Place::Look, error.to_string()))
}

fn read(rows: &[Row]) -> Result<Seen, tokio_postgres::Error> {
    let mut seen =
        Seen { server: Server { system_identifier: 0, timeline: 0 }, marks: BTreeMap::new() };
    for row in rows {
        let timeline = row.try_get("timeline")?;
        seen.server = Server { system_identifier: row.try_get("system_identifier")?, timeline };
        let Some(topic) = row.try_get::<_, Option<&str>>("topic")? else { continue };
        let key = (Topic::from(topic), Partition(row.try_get("partition")?));
        let next_offset = Offset(row.try_get("next_offset")?);
        seen.marks.insert(key, Mark { token: row.try_get("token")?, next_offset });
    }
    Ok(seen)
}

impl Claim {
    /// Compares what a look saw between two batches with what this claim expects.
    ///
    /// # Errors
    /// What is otherwise.
    pub fn compare(&self, seen: &Seen) -> Result<(), Vec<Surprise>> {
        let mut surprises = Vec::new();
        if let Some(claimed) = self.server.filter(|claimed| *claimed != seen.server) {
            surprises.push(Surprise::Server { claimed, found: seen.server });
        }
        for (key, claimed) in self.partitions() {
            let expected = claimed.next_offset;
            match seen.marks.get(key) {
                None => surprises.push(Surprise::Gone(key.clone())),
                Some(mark) if mark.token != claimed.token => {
                    surprises.push(Surprise::Token(key.clone()));
                }
                Some(mark) if mark.next_offset != expected => {
                    let (key, found) = (key.clone(), mark.next_offset);
                    surprises.push(Surprise::Offset { key, expected, found });
                }
                Some(_) => {}
            }
        }
        if surprises.is_empty() { Ok(()) } else { Err(surprises) }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Seen, Surprise};
    use crate::claim::{Claim, Claimed};
    use crate::position::{Offset, Partition, Topic};
    use crate::server::Server;
    use crate::stopped_partition::Mark;

    #[test]
    fn sees_whatever_is_otherwise() {
        let key = (Topic::from("t"), Partition(0));
        let server = Server { system_identifier: 1, timeline: 4 };
        let token = Uuid::from_u128(7);
        let mut claim = Claim { server: Some(server), ..Claim::default() };
        let next_offset = Offset(10);
        let claimed =
            Claimed { token, next_offset, last: None, last_timestamp_ms: None, first_seen: false };
        claim.partitions.insert(key.clone(), claimed);
        let mark = Mark { token, next_offset };
        let seen = |server, mark: Option<Mark>| Seen {
            server,
            marks: mark.map(|mark| (key.clone(), mark)).into_iter().collect(),
        };
        assert_eq!(claim.compare(&seen(server, Some(mark))), Ok(()));

        let (expected, found) = (Offset(10), Offset(9));
        let back = Mark { next_offset: found, ..mark };
        let other = Mark { token: Uuid::nil(), ..mark };
        let surprises = [
            (seen(server, Some(back)), Surprise::Offset { key: key.clone(), expected, found }),
            (seen(server, Some(other)), Surprise::Token(key.clone())),
            (seen(server, None), Surprise::Gone(key.clone())),
        ];
        for (seen, surprise) in surprises {
            assert_eq!(claim.compare(&seen), Err(vec![surprise]));
        }
        for found in [Server { timeline: 5, ..server }, Server { system_identifier: 2, ..server }] {
            let surprise = Surprise::Server { claimed: server, found };
            assert_eq!(claim.compare(&seen(found, Some(mark))), Err(vec![surprise]));
        }
    }
}
