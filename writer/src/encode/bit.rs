//! `bit`, `bit varying`: lengths are left to the table.

use super::{excerpt, field};
use crate::json::malformed;
use crate::rejection::Rejection;

/// Appends a bit string: `101`, `B101` or, in hexadecimal, `X1f`.
pub fn encode(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let (bits_per_digit, digits) = match literal.as_bytes() {
        [b'b' | b'B', digits @ ..] => (1, digits),
        [b'x' | b'X', digits @ ..] => (4, digits),
        digits => (1, digits),
    };
    let refuse = || malformed(format!("invalid digits of a bit string: {}", excerpt(literal)));
    let value = |digit: &u8| match bits_per_digit {
        1 => char::from(*digit).to_digit(2),
        _ => char::from(*digit).to_digit(16),
    };
    field::variable(out, |out| {
        let length = u32::try_from(digits.len() * bits_per_digit).map_err(|_| refuse())?;
        out.extend_from_slice(&length.to_be_bytes());
        let digits_per_byte = 8 / bits_per_digit;
        for chunk in digits.chunks(digits_per_byte) {
            let mut byte = 0;
            for position in 0..digits_per_byte {
                let digit = chunk.get(position).map_or(Some(0), value).ok_or_else(refuse)?;
                byte = (byte << bits_per_digit) | digit as u8;
            }
            out.push(byte);
        }
        Ok(())
    })
}
