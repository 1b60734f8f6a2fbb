//! Why an event was refused. Decoding makes these; the database's own come back from the merge.

use std::fmt;

/// Longest message that is kept, in bytes: an event must not be able to write a novel there.
const LONGEST_MESSAGE: usize = 1000;

/// A SQLSTATE that decoding gives, so that dead letters of the writer and of the database are
/// told apart in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(&'static str);

impl SqlState {
    /// The thing asked for is not supported: a column type without encoder, a delete without key.
    pub const FEATURE_NOT_SUPPORTED: Self = Self("0A000");
    /// A number is outside the range of its column's type.
    pub const NUMERIC_VALUE_OUT_OF_RANGE: Self = Self("22003");
    /// A null stands where none may: a message without value or formatter.
    pub const NULL_VALUE_NOT_ALLOWED: Self = Self("22004");
    /// Not a date or time, or one without the offset that it needs.
    pub const INVALID_DATETIME_FORMAT: Self = Self("22007");
    /// A date or time outside the range of its column's type.
    pub const DATETIME_FIELD_OVERFLOW: Self = Self("22008");
    /// An offset from UTC that is none.
    pub const INVALID_TIME_ZONE_DISPLACEMENT: Self = Self("22009");
    /// Bytes that are not UTF-8, or a NUL in text.
    pub const CHARACTER_NOT_IN_REPERTOIRE: Self = Self("22021");
    /// A value that the format forbids, such as a path outside the datastore.
    pub const INVALID_PARAMETER_VALUE: Self = Self("22023");
    /// A JSON object names a key twice.
    pub const DUPLICATE_JSON_KEY: Self = Self("22030");
    /// Not JSON, not the shape that the format has, or not a literal of the column's type.
    pub const INVALID_TEXT_REPRESENTATION: Self = Self("22P02");
    /// A character that the column's type cannot hold: `\u0000` in jsonb.
    pub const UNTRANSLATABLE_CHARACTER: Self = Self("22P05");
    /// A range whose lower bound is above its upper one.
    pub const DATA_EXCEPTION: Self = Self("22000");
    /// A key column is null or missing.
    pub const NOT_NULL_VIOLATION: Self = Self("23502");
    /// One event names a thing twice that can be only once.
    pub const UNIQUE_VIOLATION: Self = Self("23505");
    /// A name is longer than 63 bytes.
    pub const NAME_TOO_LONG: Self = Self("42622");
    /// A column that the table doesn't have.
    pub const UNDEFINED_COLUMN: Self = Self("42703");
    /// A table that is not a registered target.
    pub const UNDEFINED_TABLE: Self = Self("42P01");
    /// A dataset's file is not there.
    pub const FILE_MISSING: Self = Self("FB005");
    /// What is there is not the file that the event says, or none at all.
    pub const FILE_UNFIT: Self = Self("FB006");
    /// Another file has the place that a staged one is to have.
    pub const FILE_DIFFERENT: Self = Self("FB007");
    /// Larger or deeper than the database, or the writer, takes.
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self("54000");

    /// The five characters.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A refusal of one event, with its reason. Its texts hold no NUL and are of bounded length, so
/// that recording it cannot fail for their sake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The kind of fault.
    pub sqlstate: SqlState,
    /// What is wrong, for a person.
    pub message: String,
    /// The target that it is about (`schema.table`), if one.
    pub target: Option<String>,
    /// The constraint that it is about, if one. Decoding checks none.
    pub constraint: Option<String>,
}

impl Rejection {
    /// A refusal that is about no target in particular.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { sqlstate, message: recordable(message.into()), target: None, constraint: None }
    }

    /// The same refusal, about this target unless it already names one.
    #[must_use]
    pub fn about(mut self, target: &str) -> Self {
        self.target.get_or_insert_with(|| recordable(target.to_owned()));
        self
    }

    /// The same refusal, saying where in the event it came up: `context: message`.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        self.message = recordable(format!("{context}: {}", self.message));
        self
    }
}

/// Without NUL, which no text column takes, and cut to a bounded length.
pub(crate) fn recordable(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        text.truncate(text.floor_char_boundary(LONGEST_MESSAGE));
        text.push('…');
    }
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_MESSAGE, Rejection, SqlState};

    #[test]
    fn is_always_recordable() {
        let rejection = Rejection::new(SqlState::UNDEFINED_TABLE, "é\0".repeat(5000))
            .about("a\0b")
            .within("rows[0]");
        assert!(!rejection.message.contains('\0'));
        assert!(rejection.message.len() <= LONGEST_MESSAGE + 10);
        assert!(rejection.message.starts_with("rows[0]: é"));
        assert_eq!(rejection.target.as_deref(), Some("a\u{fffd}b"));
    }

    #[test]
    fn keeps_the_first_target() {
        let rejection = Rejection::new(SqlState::UNDEFINED_COLUMN, "x").about("a.b").about("c.d");
        assert_eq!(rejection.target.as_deref(), Some("a.b"));
    }
}
