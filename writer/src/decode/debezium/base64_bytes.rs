//! Bytes, which JSON has in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Json, malformed};
use crate::rejection::Rejection;

/// The bytes that a string stands for.
pub fn decode(value: Json<'_>) -> Result<Vec<u8>, Rejection> {
    STANDARD.decode(&*value.string()?).map_err(|error| malformed(format!("not base64: {error}")))
}

/// As a literal of bytea.
pub fn literal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut literal = String::with_capacity(2 + 2 * bytes.len());
    literal.push_str("\\x");
    for byte in bytes {
        literal.push(char::from(DIGITS[usize::from(byte >> 4)]));
        literal.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    literal
}
