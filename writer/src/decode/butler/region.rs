//! Regions and hashes: bytes in hexadecimal digits here, and in base64 in the registry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::encode::{decode_hex, encode_text};
use crate::rejection::Rejection;

/// Appends bytes, given in hexadecimal digits, as base64 text without newlines.
pub fn encode_hash(hex: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    decode_hex(hex, &mut bytes)?;
    encode_text(&STANDARD.encode(bytes), out)
}
