//! What stands in the dead letters.

use std::fmt;

use anyhow::Result;

use crate::{Database, producer::Delivery};

/// A rejected event, as the database keeps it.
#[derive(Clone)]
pub struct DeadLetter {
    /// Its topic.
    pub topic: String,
    /// Where it stands there.
    pub event: Delivery,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers, as the text of a JSON list.
    pub headers: Option<String>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
    /// Why it was rejected.
    pub sqlstate: String,
    /// Why, in words.
    pub message: String,
    /// The table that refused it.
    pub target: Option<String>,
    /// The constraint that refused it.
    pub constraint: Option<String>,
}

/// The reason alone: payloads are long.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, sqlstate, message, target, constraint, .. } = self;
        let (target, constraint) = (target.as_deref(), constraint.as_deref());
        write!(f, "{event:?}: {sqlstate} {target:?} {constraint:?} {message}")
    }
}

impl Database {
    /// The dead letters of a source, by topic, partition and offset.
    ///
    /// # Errors
    ///
    /// If the server can't say.
    pub async fn dead_letters(&self, source: &str) -> Result<Vec<DeadLetter>> {
        let sql = "select topic, partition, event_offset, key, headers::text, payload, sqlstate, \
                       message, target, \"constraint\" \
                   from forebay.dead_letter where source = $1 \
                   order by topic, partition, event_offset";
        let rows = self.primary().query(sql, &[&source]).await?;
        let read = |row: &tokio_postgres::Row| DeadLetter {
            topic: row.get(0),
            event: Delivery { partition: row.get(1), offset: row.get(2) },
            key: row.get(3),
            headers: row.get(4),
            payload: row.get(5),
            sqlstate: row.get(6),
            message: row.get(7),
            target: row.get(8),
            constraint: row.get(9),
        };
        Ok(rows.iter().map(read).collect())
    }
}
