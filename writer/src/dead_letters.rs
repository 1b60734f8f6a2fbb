//! `forebay dead-letters`: the rejected events, for a person to look at.

mod letter;
mod list;
mod payload;
mod show;

use std::str::FromStr;

pub use list::list;
pub use show::show;

use crate::config::{DatabaseConfig, Dsn};
use crate::session::{DatabaseError, Session};

/// What names a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// Its id.
    Id(i64),
    /// Where its event stands.
    Position {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "neither an id nor topic/partition/offset".to_owned();
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (rest, offset) = text.rsplit_once('/').ok_or_else(refused)?;
        let (topic, partition) = rest.rsplit_once('/').ok_or_else(refused)?;
        let (partition, offset) = (partition.parse(), offset.parse());
        match (topic, partition, offset) {
            ("", ..) => Err(refused()),
            (topic, Ok(partition), Ok(offset)) => {
                Ok(Self::Position { topic: topic.to_owned(), partition, offset })
            }
            _ => Err(refused()),
        }
    }
}

/// Connects, to the primary or to a replica: both have the dead letters.
async fn connect(dsn: Dsn) -> Result<Session, DatabaseError> {
    let config = DatabaseConfig::new(dsn);
    Session::connect_replica(&config.dsn, &config, "dead-letters").await
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn names_by_id_or_position() {
        assert_eq!("17".parse(), Ok(Reference::Id(17)));
        let position = Reference::Position { topic: "a.b".to_owned(), partition: 2, offset: 3 };
        assert_eq!("a.b/2/3".parse(), Ok(position));
        for text in ["", "a", "a/1", "/1/2", "a/b/2", "a/1/", "1.5"] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
