//! Integers of data IDs, which may come as words.

use pgrx::prelude::*;

/// What PostgreSQL lets stand around a number.
const SPACES: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// The integer that a value of a data ID stands for, as SQL; null if it is none of eight bytes.
pub fn as_integer(value: &str) -> String {
    format!("forebay_staging.data_id_integer({value})")
}

/// What PostgreSQL makes of a word in place of an integer; null where it would raise (BUTLER.md, B34).
/// The owners of a repository's tables call it.
#[pg_extern(
    requires = ["bootstrap"],
    sql = "create function forebay_staging.data_id_integer(value text) returns int8 \
           language c immutable strict parallel safe as 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn data_id_integer(value: &str) -> Option<i64> {
    value.trim_matches(SPACES).parse().ok()
}
