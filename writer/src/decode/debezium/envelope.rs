//! The envelope of a change event: `{"before": …, "after": …, "source": …, "op": …}`, alone or as
//! the payload beside its schema.

use crate::json::{Json, malformed, set_once, visit_object};
use crate::rejection::{Rejection, SqlState};

/// A message, before anybody looked at what it says.
#[derive(Debug, Default)]
pub struct Envelope<'a> {
    /// Kafka Connect's schema of the envelope, if the message has it.
    pub schema: Option<Json<'a>>,
    op: Option<Json<'a>>,
    before: Option<Json<'a>>,
    after: Option<Json<'a>>,
    source: Option<Json<'a>>,
}

/// What an event says of one row.
#[derive(Debug)]
pub struct Change<'a> {
    /// What happened.
    pub operation: Operation,
    /// The table that it happened in.
    pub source: SourceTable,
    /// The row before, if the source's log had it.
    pub before: Option<Json<'a>>,
    after: Option<Json<'a>>,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is new, or was read by a snapshot.
    Create,
    /// It was changed.
    Update,
    /// It is gone.
    Delete,
}

/// A table of the source database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTable {
    /// Its schema; its database, for sources without schemas.
    pub schema: String,
    /// Its name.
    pub table: String,
}

impl<'a> Envelope<'a> {
    /// Reads a message. None if it is a tombstone, beside its schema.
    pub fn read(text: &'a str) -> Result<Option<Self>, Rejection> {
        let mut envelope = Self::default();
        let (mut schema, mut payload) = (None, None);
        visit_object(text, |key, value| match &*key {
            "schema" => set_once(&mut schema, "schema", value),
            "payload" => set_once(&mut payload, "payload", value),
            other => envelope.set(other, value),
        })?;
        if envelope.op.is_some() {
            return Ok(Some(envelope));
        }
        let Some(payload) = payload else { return Err(no_envelope()) };
        if payload.is_null() {
            return Ok(None);
        }
        let schema = schema.filter(|schema| !schema.is_null());
        let mut envelope = Self { schema, ..Self::default() };
        visit_object(payload.text(), |key, value| envelope.set(&key, value))
            .map_err(|rejection| rejection.within("payload"))?;
        Ok(Some(envelope))
    }

    fn set(&mut self, key: &str, value: Json<'a>) -> Result<(), Rejection> {
        match key {
            "op" => set_once(&mut self.op, key, value),
            "before" => set_once(&mut self.before, key, value),
            "after" => set_once(&mut self.after, key, value),
            "source" => set_once(&mut self.source, key, value),
            // Times, the transaction, and what later versions add.
            _ => Ok(()),
        }
    }

    /// What it says, if it is about a row.
    pub fn change(&self) -> Result<Change<'a>, Rejection> {
        let op = self.op.ok_or_else(no_envelope)?.string()?;
        let source = self.source.ok_or_else(|| malformed("key \"source\" is missing"))?;
        let source = SourceTable::read(source)?;
        let operation = match &*op {
            "c" | "r" => Operation::Create,
            "u" => Operation::Update,
            "d" => Operation::Delete,
            "t" => {
                let SourceTable { schema, table } = source;
                return Err(unsupported(format!(
                    "{schema}.{table} was truncated at the source, and a truncation is never \
                     repeated here: truncate the target by hand if that is meant, and set the \
                     connector's skipped.operations to t"
                )));
            }
            "m" => {
                return Err(unsupported(
                    "this is a message of pg_logical_emit_message, and no change of a row; take \
                     its topic out of source.topics",
                ));
            }
            other => return Err(malformed(format!("op is \"{other}\", which Debezium has not"))),
        };
        let row = |row: Option<Json<'a>>| row.filter(|row| !row.is_null());
        Ok(Change { operation, source, before: row(self.before), after: row(self.after) })
    }
}

impl<'a> Change<'a> {
    /// The row before, which this change must have.
    pub fn before(&self) -> Result<Json<'a>, Rejection> {
        self.before.ok_or_else(|| missing("before"))
    }

    /// The row after, which this change must have.
    pub fn after(&self) -> Result<Json<'a>, Rejection> {
        self.after.ok_or_else(|| missing("after"))
    }
}

impl SourceTable {
    fn read(source: Json<'_>) -> Result<Self, Rejection> {
        let (mut schema, mut database, mut table) = (None, None, None);
        visit_object(source.text(), |key, value| match &*key {
            "schema" => set_once(&mut schema, "schema", value),
            "db" => set_once(&mut database, "db", value),
            "table" => set_once(&mut table, "table", value),
            _ => Ok(()),
        })
        .map_err(|rejection| rejection.within("source"))?;
        let given = |value: Option<Json<'_>>| {
            let value = value.filter(|value| !value.is_null());
            value.map(|value| value.string().map(std::borrow::Cow::into_owned)).transpose()
        };
        let schema = match given(schema)? {
            Some(schema) => Some(schema),
            None => given(database)?,
        };
        Ok(Self {
            schema: schema.unwrap_or_default(),
            table: given(table)?.ok_or_else(|| malformed("source: key \"table\" is missing"))?,
        })
    }
}

fn no_envelope() -> Rejection {
    malformed(
        "not a change event of Debezium: key \"op\" is missing (events that a transformation has \
         flattened are of the format flat)",
    )
}

fn missing(row: &str) -> Rejection {
    Rejection::new(
        SqlState::NULL_VALUE_NOT_ALLOWED,
        format!("the event does not have the row that its op needs in \"{row}\""),
    )
}

fn unsupported(message: impl Into<String>) -> Rejection {
    Rejection::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}
