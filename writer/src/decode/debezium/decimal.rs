//! Decimals: an unscaled whole number as bytes, and how many of its digits stand behind the point.

use crate::json::{Json, Kind, malformed, set_once, visit_object};
use crate::rejection::{Rejection, SqlState};

use super::base64_bytes;

/// The longest unscaled number that is read, in bytes: the time to write its digits grows with the
/// square of it.
const LONGEST: usize = 4096;

/// The most digits that PostgreSQL's numeric has behind the point.
const MOST_DECIMALS: u32 = 16_383;

/// The literal of a decimal with this scale. A converter that is told to writes numbers instead of
/// bytes: these are literals already.
pub fn literal(value: Json<'_>, scale: i32) -> Result<String, Rejection> {
    match value.kind()? {
        Kind::Number(number) => Ok(number.to_owned()),
        _ => from_bytes(&base64_bytes::decode(value)?, scale),
    }
}

/// The literal of `{"scale": …, "value": …}`.
pub fn variable_scale_literal(value: Json<'_>) -> Result<String, Rejection> {
    let (mut scale, mut unscaled) = (None, None);
    visit_object(value.text(), |key, value| match &*key {
        "scale" => set_once(&mut scale, "scale", value),
        "value" => set_once(&mut unscaled, "value", value),
        _ => Ok(()),
    })?;
    let (Some(scale), Some(unscaled)) = (scale, unscaled) else {
        return Err(malformed("a decimal without scale or value"));
    };
    let scale = scale.text().parse().map_err(|_| malformed("a scale that is no whole number"))?;
    literal(unscaled, scale)
}

/// The bytes are the two's complement, the most significant one first.
fn from_bytes(bytes: &[u8], scale: i32) -> Result<String, Rejection> {
    if bytes.is_empty() {
        return Err(malformed("a decimal without digits"));
    }
    if bytes.len() > LONGEST || scale.unsigned_abs() > MOST_DECIMALS {
        return Err(Rejection::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("a decimal of {} bytes and scale {scale} is too long", bytes.len()),
        ));
    }
    let negative = bytes[0] >= 0x80;
    let mut digits = digits(magnitude(bytes, negative));
    if scale > 0 {
        let decimals = scale.unsigned_abs() as usize;
        if digits.len() <= decimals {
            digits.insert_str(0, &"0".repeat(decimals + 1 - digits.len()));
        }
        digits.insert(digits.len() - decimals, '.');
    } else if digits != "0" {
        digits.push_str(&"0".repeat(scale.unsigned_abs() as usize));
    }
    if negative {
        digits.insert(0, '-');
    }
    Ok(digits)
}

/// Limbs of 32 bits, the most significant one first.
fn magnitude(bytes: &[u8], negative: bool) -> Vec<u32> {
    let filler = if negative { 0xff } else { 0 };
    let missing = (4 - bytes.len() % 4) % 4;
    let mut padded = vec![filler; missing];
    padded.extend_from_slice(bytes);
    let limb = |chunk: &[u8]| chunk.iter().fold(0u32, |limb, byte| limb << 8 | u32::from(*byte));
    let mut limbs: Vec<u32> = padded.chunks(4).map(limb).collect();
    if negative {
        let mut carry = true;
        for limb in limbs.iter_mut().rev() {
            (*limb, carry) = (!*limb).overflowing_add(u32::from(carry));
        }
    }
    limbs
}

/// The decimal digits of limbs, without leading zeros.
fn digits(mut limbs: Vec<u32>) -> String {
    const NINE_DIGITS: u64 = 1_000_000_000;
    let mut groups = Vec::new();
    loop {
        let mut remainder = 0u64;
        for limb in &mut limbs {
            let dividend = remainder << 32 | u64::from(*limb);
            *limb = (dividend / NINE_DIGITS) as u32; // the remainder is below the divisor
            remainder = dividend % NINE_DIGITS;
        }
        groups.push(remainder);
        let leading = limbs.iter().take_while(|limb| **limb == 0).count();
        limbs.drain(..leading);
        if limbs.is_empty() {
            break;
        }
    }
    let first = groups.pop().unwrap_or_default();
    let rest = groups.iter().rev().map(|group| format!("{group:09}"));
    std::iter::once(first.to_string()).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::from_bytes;

    #[test]
    fn writes_any_length_and_sign() {
        for value in [
            0i128,
            1,
            -1,
            127,
            128,
            -128,
            -129,
            999_999_999,
            1_000_000_000,
            -1_000_000_000,
            i128::from(i64::MIN),
            i128::MAX,
            i128::MIN,
            i128::MIN + 1,
        ] {
            assert_eq!(from_bytes(&value.to_be_bytes(), 0).unwrap(), value.to_string());
        }
        assert_eq!(from_bytes(&[0x80], 0).unwrap(), "-128");
        assert_eq!(from_bytes(&[0xff, 0xff, 0xff, 0xff, 0xff], 0).unwrap(), "-1");
        let long = [&[1][..], &[0; 32][..]].concat();
        let expected =
            "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        assert_eq!(from_bytes(&long, 0).unwrap(), expected);
        assert!(from_bytes(&[1; 4096], 16_383).unwrap().len() > 9_000);
    }

    #[test]
    fn sets_the_point() {
        for (value, scale, expected) in [
            (12345, 2, "123.45"),
            (-12345, 2, "-123.45"),
            (5, 2, "0.05"),
            (-5, 1, "-0.5"),
            (100, 2, "1.00"),
            (0, 3, "0.000"),
            (12, -3, "12000"),
            (0, -3, "0"),
        ] {
            assert_eq!(from_bytes(&i32::to_be_bytes(value), scale).unwrap(), expected);
        }
        assert!(from_bytes(&[], 0).is_err());
        assert_eq!(from_bytes(&[1; 4097], 0).unwrap_err().sqlstate.as_str(), "22003");
        assert_eq!(from_bytes(&[1], i32::MIN).unwrap_err().sqlstate.as_str(), "22003");
    }
}
