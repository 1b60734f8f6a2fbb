//! Regions: sphgeom's bytes, in hexadecimal digits here and in base64 in the registry.
//!
//! The official client decodes a region and encodes it again. For polygons, circles and ellipses
//! that gives the same bytes, so they are checked and passed on. Boxes, and unions within unions,
//! it would normalise; that is not done here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::encode::{decode_hex, encode_text};
use crate::json::malformed;
use crate::rejection::Rejection;

/// Appends the region, given in hexadecimal digits, as base64 text without newlines.
pub fn encode_region(hex: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let bytes = bytes_of(hex)?;
    check(&bytes)?;
    encode_text(&STANDARD.encode(bytes), out)
}

/// Appends bytes, given in hexadecimal digits, as base64 text without newlines.
pub fn encode_hash(hex: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    encode_text(&STANDARD.encode(bytes_of(hex)?), out)
}

fn bytes_of(hex: &str) -> Result<Vec<u8>, Rejection> {
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    decode_hex(hex, &mut bytes)?;
    Ok(bytes)
}

/// Refuses bytes whose type or length is none of sphgeom's. Compounds are looked into, without
/// recursion.
fn check(region: &[u8]) -> Result<(), Rejection> {
    let mut pending = vec![region];
    while let Some(region) = pending.pop() {
        let (kind, body) = region.split_first().ok_or_else(|| malformed("a region is empty"))?;
        let is_valid = match kind {
            // Vertices of three doubles, three or more.
            b'p' => body.len() >= 72 && body.len() % 24 == 0,
            b'c' => body.len() == 40,
            b'b' => body.len() == 32,
            b'e' => body.len() == 112,
            b'u' | b'i' => push_operands(body, &mut pending),
            _ => return Err(malformed(format!("a region has the unknown type {kind}"))),
        };
        if !is_valid {
            return Err(malformed(format!(
                "a region of type '{}' cannot have {} bytes",
                char::from(*kind),
                region.len()
            )));
        }
    }
    Ok(())
}

/// Pushes the regions of a compound, each after its length; false if they don't fit.
fn push_operands<'a>(mut body: &'a [u8], pending: &mut Vec<&'a [u8]>) -> bool {
    while !body.is_empty() {
        let Some((length, rest)) = body.split_first_chunk() else { return false };
        let Ok(length) = usize::try_from(u64::from_le_bytes(*length)) else { return false };
        let Some((operand, rest)) = rest.split_at_checked(length) else { return false };
        pending.push(operand);
        body = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{check, encode_hash, encode_region};

    fn compound(kind: u8, operands: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![kind];
        for operand in operands {
            bytes.extend_from_slice(&(operand.len() as u64).to_le_bytes());
            bytes.extend_from_slice(operand);
        }
        bytes
    }

    fn simple(kind: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[0] = kind;
        bytes
    }

    #[test]
    fn knows_the_lengths() {
        for (kind, length) in [(b'p', 73), (b'p', 97), (b'c', 41), (b'b', 33), (b'e', 113)] {
            assert!(check(&simple(kind, length)).is_ok());
            assert!(check(&simple(kind, length + 1)).is_err());
            assert!(check(&simple(kind, length - 1)).is_err());
        }
        assert!(check(&simple(b'p', 49)).is_err(), "two vertices");
        assert!(check(&simple(b'x', 41)).is_err());
        assert!(check(&[]).is_err());
    }

    #[test]
    fn looks_into_compounds() {
        let circle = simple(b'c', 41);
        let inner = compound(b'i', &[circle.clone(), simple(b'b', 33)]);
        assert!(check(&compound(b'u', &[circle.clone(), inner])).is_ok());
        assert!(check(b"u").is_ok());
        assert!(check(&compound(b'u', &[simple(b'c', 40)])).is_err());
        assert!(check(&compound(b'u', &[vec![]])).is_err());
        let mut cut = compound(b'u', &[circle]);
        cut.pop();
        assert!(check(&cut).is_err());
        let mut huge = vec![b'u'];
        huge.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(check(&huge).is_err());
    }

    #[test]
    fn does_not_recurse() {
        let mut region = vec![b'u'];
        for _ in 0..2000 {
            region = compound(b'u', &[region]);
        }
        assert!(check(&region).is_ok());
    }

    #[test]
    fn becomes_base64_without_newlines() {
        let mut out = Vec::new();
        let hex = format!("70 {}", "FF".repeat(96));
        encode_region(&hex, &mut out).unwrap();
        let mut expected = 132u32.to_be_bytes().to_vec();
        expected.extend_from_slice(format!("cP{}w==", "/".repeat(127)).as_bytes());
        assert_eq!(out, expected);
        assert!(encode_region("", &mut Vec::new()).is_err());
        assert!(encode_region("7", &mut Vec::new()).is_err());
        assert!(encode_region("zz", &mut Vec::new()).is_err());
    }

    #[test]
    fn hashes_may_be_anything() {
        let mut out = Vec::new();
        encode_hash("00ff", &mut out).unwrap();
        assert_eq!(&out[4..], b"AP8=");
    }
}
