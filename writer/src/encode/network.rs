//! `inet`, `cidr`

use std::net::Ipv6Addr;

use super::invalid;
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
    let is_ipv6 = address.contains(':');
    let most = if is_ipv6 { 128 } else { 32 };
    let is_padded = is_ipv6 && bits.len() > 1 && bits.starts_with('0');
    let is_number = bits.bytes().all(|byte| byte.is_ascii_digit()) && !is_padded;
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
