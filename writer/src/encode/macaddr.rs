//! `macaddr`, `macaddr8`

use super::{field, invalid, out_of_range};
use crate::rejection::Rejection;

/// Appends a hardware address of six bytes: `08:00:2b:01:02:03`, with hyphens, in halves
/// (`08002b:010203`), in thirds (`0800.2b01.0203`) or without separators.
pub fn encode(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let refuse = || invalid("macaddr", literal);
    let trimmed = literal.trim_ascii();
    let separator = trimmed.bytes().find(|byte| !byte.is_ascii_hexdigit());
    let parts = match separator {
        None => 1,
        Some(separator @ (b':' | b'-' | b'.')) => {
            1 + trimmed.bytes().filter(|byte| *byte == separator).count()
        }
        Some(_) => return Err(refuse()),
    };
    let separator = separator.unwrap_or(b':');
    let digits = match (parts, separator) {
        (1, _) => 12,
        (2, b':' | b'-') => 6,
        (3, b'.' | b'-') => 4,
        (6, b':' | b'-') => return encode_six(literal, trimmed, separator, out),
        _ => return Err(refuse()),
    };
    let mut bytes = [0; 6];
    let mut filled = bytes.iter_mut();
    for part in trimmed.as_bytes().split(|byte| *byte == separator) {
        if part.len() != digits {
            return Err(refuse());
        }
        for pair in part.chunks(2) {
            let slot = filled.next().ok_or_else(refuse)?;
            *slot = hexadecimal(pair).and_then(|byte| byte.try_into().ok()).ok_or_else(refuse)?;
        }
    }
    field::fixed(&bytes, out);
    Ok(())
}

/// Six numbers, which need not have two digits each.
fn encode_six(
    literal: &str,
    trimmed: &str,
    separator: u8,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let mut bytes = [0; 6];
    for (slot, part) in bytes.iter_mut().zip(trimmed.as_bytes().split(|byte| *byte == separator)) {
        let number = hexadecimal(part).ok_or_else(|| invalid("macaddr", literal))?;
        *slot = number.try_into().map_err(|_| out_of_range("macaddr", literal))?;
    }
    field::fixed(&bytes, out);
    Ok(())
}

/// Appends a hardware address of eight bytes, or of six with `ff:fe` put into its middle. The same
/// separator may stand, or be left out, behind each byte.
pub fn encode_eight(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let refuse = || invalid("macaddr8", literal);
    let mut rest = literal.trim_ascii().as_bytes();
    let mut bytes = [0; 8];
    let mut count = 0;
    let mut separator = None;
    while !rest.is_empty() {
        let (pair, after) = rest.split_at_checked(2).ok_or_else(refuse)?;
        let slot = bytes.get_mut(count).ok_or_else(refuse)?;
        *slot = hexadecimal(pair).and_then(|byte| byte.try_into().ok()).ok_or_else(refuse)?;
        count += 1;
        rest = match after {
            [found @ (b':' | b'-' | b'.'), after @ ..] if !after.is_empty() => {
                if *separator.get_or_insert(*found) != *found {
                    return Err(refuse());
                }
                after
            }
            after => after,
        };
    }
    if count == 6 {
        bytes.copy_within(3..6, 5);
        bytes[3..5].copy_from_slice(&[0xff, 0xfe]);
    } else if count != 8 {
        return Err(refuse());
    }
    field::fixed(&bytes, out);
    Ok(())
}

/// Up to eight hexadecimal digits, and at least one.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if !(1..=8).contains(&digits.len()) {
        return None;
    }
    digits
        .iter()
        .try_fold(0u32, |number, digit| Some((number << 4) | char::from(*digit).to_digit(16)?))
}
