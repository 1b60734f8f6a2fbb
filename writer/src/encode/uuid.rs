//! `uuid`

use super::invalid;
use crate::rejection::Rejection;

/// The UUID: 32 hexadecimal digits, with or without a hyphen behind every fourth, in braces or not.
pub fn parse(literal: &str) -> Result<[u8; 16], Rejection> {
    read(literal.as_bytes()).ok_or_else(|| invalid("uuid", literal))
}

fn read(literal: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match literal {
        [b'{', inside @ .., b'}'] => inside,
        [b'{', ..] => return None,
        bare => bare,
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else { return None };
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        rest = match after {
            [b'-', after @ ..] if index % 2 == 1 && index < 15 => after,
            after => after,
        };
    }
    rest.is_empty().then_some(uuid)
}
