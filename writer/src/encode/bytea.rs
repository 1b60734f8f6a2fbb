//! `bytea`

use super::{excerpt, field, invalid};
use crate::json::malformed;
use crate::rejection::{Rejection, SqlState};

/// Appends the bytes of a literal in hex format, `\x0aff`. The escape format is not read.
pub fn encode(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let hex = literal.strip_prefix("\\x").ok_or_else(|| invalid("bytea (hex format)", literal))?;
    field::variable(out, |out| decode_hex(hex, out)).map_err(|rejection| Rejection {
        // PostgreSQL's own, which it gives for digits alone.
        sqlstate: SqlState::INVALID_PARAMETER_VALUE,
        ..rejection
    })
}

/// Appends the bytes that hexadecimal digits of either case stand for. Blanks may stand between
/// bytes, as PostgreSQL and Python both allow.
pub fn decode_hex(hex: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let refuse = || malformed(format!("invalid hexadecimal digits: {}", excerpt(hex)));
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = hex.bytes();
    while let Some(first) = bytes.next() {
        if first.is_ascii_whitespace() {
            continue;
        }
        let high = digit(first).ok_or_else(refuse)?;
        let low = bytes.next().and_then(digit).ok_or_else(refuse)?;
        out.push((high << 4 | low) as u8);
    }
    Ok(())
}
