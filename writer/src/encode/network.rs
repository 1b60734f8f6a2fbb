//! `inet`, `cidr`, `macaddr`, `macaddr8`

use std::net::Ipv6Addr;

use super::{field, invalid, out_of_range};
use crate::rejection::Rejection;

const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 3;

/// Appends an address with the length of its network's prefix.
pub fn encode_inet(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let refuse = || invalid("inet", literal);
    let (address, bits) = split_bits(literal).ok_or_else(refuse)?;
    if address.contains(':') {
        let address: Ipv6Addr = address.parse().map_err(|_| refuse())?;
        put(FAMILY_IPV6, bits.unwrap_or(128), false, &address.octets(), out);
        return Ok(());
    }
    let (octets, count) = ipv4(address).ok_or_else(refuse)?;
    // Only a whole address can do without a length; and what is shorter must hold its network.
    let bits = bits.or((count == 4).then_some(32)).ok_or_else(refuse)?;
    if usize::from(bits / 8) > count {
        return Err(refuse());
    }
    put(FAMILY_IPV4, bits, false, &octets, out);
    Ok(())
}

/// Appends a network. Bits behind its prefix must be zero.
pub fn encode_cidr(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let refuse = || invalid("cidr", literal);
    let (address, bits) = split_bits(literal).ok_or_else(refuse)?;
    if address.contains(':') {
        let address: Ipv6Addr = address.parse().map_err(|_| refuse())?;
        let bits = bits.unwrap_or(128);
        if has_bits_behind(&address.octets(), bits) {
            return Err(refuse());
        }
        put(FAMILY_IPV6, bits, true, &address.octets(), out);
        return Ok(());
    }
    let (octets, count) = ipv4(address).ok_or_else(refuse)?;
    let bits = bits.unwrap_or_else(|| class_bits(octets[0], count));
    if has_bits_behind(&octets, bits) {
        return Err(refuse());
    }
    put(FAMILY_IPV4, bits, true, &octets, out);
    Ok(())
}

/// The address, and the length of the prefix if it is given.
fn split_bits(literal: &str) -> Option<(&str, Option<u8>)> {
    let Some((address, bits)) = literal.split_once('/') else { return Some((literal, None)) };
    let most = if address.contains(':') { 128 } else { 32 };
    let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits = bits.parse().ok().filter(|bits| is_number && *bits <= most)?;
    Some((address, Some(bits)))
}

/// One to four decimal octets, filled up with zeros, and how many there are.
fn ipv4(address: &str) -> Option<([u8; 4], usize)> {
    let mut octets = [0; 4];
    let mut count = 0;
    for octet in address.split('.') {
        let is_number = !octet.is_empty() && octet.bytes().all(|byte| byte.is_ascii_digit());
        *octets.get_mut(count)? = octet.parse().ok().filter(|_| is_number)?;
        count += 1;
    }
    Some((octets, count))
}

/// The prefix of a network that doesn't say it: that of its class, or all that is written.
fn class_bits(first: u8, count: usize) -> u8 {
    let class = match first {
        240.. => 32,
        224.. => 8,
        192.. => 24,
        128.. => 16,
        _ => 8,
    };
    // At most four octets.
    let bits = class.max(count as u8 * 8);
    if bits == 8 && first == 224 { 4 } else { bits }
}

fn has_bits_behind(octets: &[u8], bits: u8) -> bool {
    octets.iter().zip((0u16..).step_by(8)).any(|(octet, start)| {
        let kept = u16::from(bits).saturating_sub(start).min(8);
        octet & 0xffu8.checked_shr(u32::from(kept)).unwrap_or(0) != 0
    })
}

fn put(family: u8, bits: u8, is_cidr: bool, octets: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(4 + octets.len() as u32).to_be_bytes());
    out.extend_from_slice(&[family, bits, u8::from(is_cidr), octets.len() as u8]);
    out.extend_from_slice(octets);
}

/// Appends a hardware address of six bytes: `08:00:2b:01:02:03`, with hyphens, in halves
/// (`08002b:010203`), in thirds (`0800.2b01.0203`) or without separators.
pub fn encode_macaddr(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
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
pub fn encode_macaddr8(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
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
