//! `numeric`: decimal digits in groups of four, never by way of a float.

use std::cmp::Ordering;

use super::{invalid, out_of_range};
use crate::rejection::Rejection;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

/// Decimal digits per group.
const GROUP: i64 = 4;

/// Most digits after the point that a value can show.
const MOST_DECIMALS: i64 = 0x3fff;

/// A number as its literal has it: `0.d₀d₁d₂… × 10^point`.
struct Digits<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    point: i64,
}

/// The head of the wire format; the groups follow.
struct Head {
    groups: u16,
    weight: i16,
    sign: u16,
    scale: u16,
}

/// Appends the number that the literal is, with the digits after the point that it shows. Type
/// modifiers are left to the table.
pub fn encode(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(sign) = special(trimmed) {
        put(&Head { groups: 0, weight: 0, sign, scale: 0 }, [].into_iter(), out);
        return Ok(());
    }
    let (negative, unsigned) = match trimmed.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (digits, scale) = read(unsigned, literal)?;
    let Some((weight, lowest)) = digits.weights() else {
        put(&Head { groups: 0, weight: 0, sign: POSITIVE, scale }, [].into_iter(), out);
        return Ok(());
    };
    let weight = i16::try_from(weight).map_err(|_| overflow(literal))?;
    let groups = i64::from(weight) - lowest + 1;
    let groups = u16::try_from(groups).map_err(|_| overflow(literal))?;
    let sign = if negative { NEGATIVE } else { POSITIVE };
    let head = Head { groups, weight, sign, scale };
    put(&head, (lowest..=i64::from(weight)).rev().map(|group| digits.group(group)), out);
    Ok(())
}

/// Refuses a literal that is no number, or one that `numeric` can't hold.
pub fn check(literal: &str) -> Result<(), Rejection> {
    let unsigned = literal.strip_prefix('-').unwrap_or(literal);
    let (digits, _) = read(unsigned.as_bytes(), literal)?;
    match digits.weights() {
        Some((weight, _)) if i16::try_from(weight).is_err() => Err(overflow(literal)),
        _ => Ok(()),
    }
}

/// The order of two encoded numbers, without their lengths.
pub fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let (one, other) = (Encoded::read(one), Encoded::read(other));
    let magnitude = || one.weight.cmp(&other.weight).then_with(|| one.groups.cmp(other.groups));
    one.rank().cmp(&other.rank()).then_with(|| match one.rank() {
        Rank::Negative => magnitude().reverse(),
        Rank::Positive => magnitude(),
        _ => Ordering::Equal,
    })
}

fn special(literal: &str) -> Option<u16> {
    let is = |name: &str| literal.eq_ignore_ascii_case(name);
    if is("nan") {
        Some(NOT_A_NUMBER)
    } else if is("infinity") || is("+infinity") || is("inf") || is("+inf") {
        Some(INFINITY)
    } else if is("-infinity") || is("-inf") {
        Some(MINUS_INFINITY)
    } else {
        None
    }
}

/// The digits of an unsigned literal, and how many of them it shows after the point.
fn read<'a>(unsigned: &'a [u8], literal: &str) -> Result<(Digits<'a>, u16), Rejection> {
    let (whole, rest) = split_digits(unsigned);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_digits(rest),
        rest => (&[][..], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid("numeric", literal));
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', exponent @ ..] => read_exponent(exponent, literal)?,
        _ => return Err(invalid("numeric", literal)),
    };
    let scale = (fraction.len() as i64 - exponent).max(0);
    if scale > MOST_DECIMALS {
        return Err(overflow(literal));
    }
    let point = whole.len() as i64 + exponent;
    Ok((Digits { whole, fraction, point }, scale as u16))
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// An exponent that is no larger than PostgreSQL looks at.
fn read_exponent(bytes: &[u8], literal: &str) -> Result<i64, Rejection> {
    const LARGEST: i64 = (i32::MAX / 2) as i64;
    let (negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (digits, rest) = split_digits(bytes);
    if digits.is_empty() || !rest.is_empty() {
        return Err(invalid("numeric", literal));
    }
    let exponent = digits.iter().fold(0i64, |exponent, digit| {
        exponent.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    if exponent >= LARGEST {
        return Err(overflow(literal));
    }
    Ok(if negative { -exponent } else { exponent })
}

impl Digits<'_> {
    fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// The digit at this index; 0 before the first and after the last.
    fn get(&self, index: i64) -> u16 {
        let Ok(index) = usize::try_from(index) else { return 0 };
        let digit = match index.checked_sub(self.whole.len()) {
            None => self.whole.get(index),
            Some(index) => self.fraction.get(index),
        };
        digit.map_or(0, |digit| u16::from(digit - b'0'))
    }

    /// The weights of the first and of the last group that are not zero: powers of 10,000. None if
    /// the number is zero.
    fn weights(&self) -> Option<(i64, i64)> {
        let is_set = |index: &usize| self.get(*index as i64) != 0;
        let first = (0..self.len()).find(is_set)?;
        let last = (0..self.len()).rev().find(is_set)?;
        let weight = |index: usize| (self.point - index as i64 - 1).div_euclid(GROUP);
        Some((weight(first), weight(last)))
    }

    /// The four digits of a weight.
    fn group(&self, weight: i64) -> u16 {
        let first = self.point - (weight + 1) * GROUP;
        (first..first + GROUP).fold(0, |group, index| group * 10 + self.get(index))
    }
}

fn put(head: &Head, groups: impl Iterator<Item = u16>, out: &mut Vec<u8>) {
    out.extend_from_slice(&(8 + 2 * u32::from(head.groups)).to_be_bytes());
    out.extend_from_slice(&head.groups.to_be_bytes());
    out.extend_from_slice(&head.weight.to_be_bytes());
    out.extend_from_slice(&head.sign.to_be_bytes());
    out.extend_from_slice(&head.scale.to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn overflow(literal: &str) -> Rejection {
    out_of_range("numeric", literal)
}

/// In their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    MinusInfinity,
    Negative,
    Zero,
    Positive,
    Infinity,
    NotANumber,
}

/// An encoded number.
struct Encoded<'a> {
    weight: i16,
    sign: u16,
    groups: &'a [u8],
}

impl<'a> Encoded<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let two = |at: usize| bytes.get(at..at + 2).map_or([0; 2], |two| [two[0], two[1]]);
        Self {
            weight: i16::from_be_bytes(two(2)),
            sign: u16::from_be_bytes(two(4)),
            groups: bytes.get(8..).unwrap_or_default(),
        }
    }

    fn rank(&self) -> Rank {
        match self.sign {
            MINUS_INFINITY => Rank::MinusInfinity,
            INFINITY => Rank::Infinity,
            NOT_A_NUMBER => Rank::NotANumber,
            _ if self.groups.is_empty() => Rank::Zero,
            NEGATIVE => Rank::Negative,
            _ => Rank::Positive,
        }
    }
}
