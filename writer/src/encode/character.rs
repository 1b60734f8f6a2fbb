//! `"char"`, the type of one byte.

use super::{field, invalid};
use crate::rejection::Rejection;

/// Appends the first character of the literal, as PostgreSQL does; an empty one is the byte 0.
/// Only ASCII is taken: half a character would be stored else.
pub fn encode(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let first = literal.bytes().next().unwrap_or(0);
    // From version 16 on, this would be an octal escape.
    let is_escape = first == b'\\' && literal.len() == 4;
    if !first.is_ascii() || is_escape || literal.starts_with('\0') {
        return Err(invalid("\"char\"", literal));
    }
    field::fixed(&[first], out);
    Ok(())
}
