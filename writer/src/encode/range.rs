//! The built-in ranges and multiranges.
//!
//! The server makes them canonical. What could go wrong there is refused here.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::range_literal::RangeLiteral;
use super::{Encoder, datetime, excerpt, field, invalid, numeric, out_of_range};
use crate::rejection::{Rejection, SqlState};

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

/// What a range is a range of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subtype {
    /// `int4range`
    Int4,
    /// `int8range`
    Int8,
    /// `numrange`
    Numeric,
    /// `tsrange`
    Timestamp,
    /// `tstzrange`
    Timestamptz,
    /// `daterange`
    Date,
}

/// Appends the range that the literal is.
pub fn encode(subtype: Subtype, literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let refuse = || invalid("range", literal);
    let (range, rest) = RangeLiteral::take(literal).ok_or_else(refuse)?;
    if !rest.trim_ascii().is_empty() {
        return Err(refuse());
    }
    put(subtype, &range, out)
}

/// Appends the multirange that the literal is: `{[1,3),[5,7)}`.
pub fn encode_multirange(
    subtype: Subtype,
    literal: &str,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let refuse = || invalid("multirange", literal);
    let mut rest = literal.trim_ascii().strip_prefix('{').ok_or_else(refuse)?;
    field::variable(out, |out| {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut count = 0u32;
        if let Some(end) = rest.trim_ascii_start().strip_prefix('}') {
            return if end.is_empty() { Ok(()) } else { Err(refuse()) };
        }
        loop {
            let (range, after) = RangeLiteral::take(rest).ok_or_else(refuse)?;
            put(subtype, &range, out)?;
            count += 1;
            match after.trim_ascii_start().split_at_checked(1) {
                Some((",", after)) => rest = after,
                Some(("}", "")) => break,
                _ => return Err(refuse()),
            }
        }
        out[start..start + 4].copy_from_slice(&count.to_be_bytes());
        Ok(())
    })
}

fn put(subtype: Subtype, range: &RangeLiteral<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let RangeLiteral::Bounds { lower, upper, lower_inclusive, upper_inclusive } = range else {
        field::fixed(&[EMPTY], out);
        return Ok(());
    };
    field::variable(out, |out| {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        out.push(
            flag(*lower_inclusive && lower.is_some(), LOWER_INCLUSIVE)
                | flag(*upper_inclusive && upper.is_some(), UPPER_INCLUSIVE)
                | flag(lower.is_none(), LOWER_INFINITE)
                | flag(upper.is_none(), UPPER_INFINITE),
        );
        let lower_at = out.len();
        put_bound(subtype, lower.as_deref(), out)?;
        let upper_at = out.len();
        put_bound(subtype, upper.as_deref(), out)?;
        let lower_value = out[lower_at..upper_at].get(4..);
        let upper_value = out[upper_at..].get(4..);
        if let (Some(lower_value), Some(upper_value)) = (lower_value, upper_value) {
            match subtype.compare(lower_value, upper_value) {
                Ordering::Greater => return Err(upside_down(lower, upper)),
                // The server takes it for empty before it steps.
                Ordering::Equal if !(*lower_inclusive && *upper_inclusive) => return Ok(()),
                _ => {}
            }
        }
        if !lower_inclusive {
            subtype.check_step(lower_value, lower.as_deref())?;
        }
        if *upper_inclusive {
            subtype.check_step(upper_value, upper.as_deref())?;
        }
        Ok(())
    })
}

fn put_bound(subtype: Subtype, bound: Option<&str>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    bound.map_or(Ok(()), |literal| subtype.encoder().encode_literal(literal, out))
}

impl Subtype {
    fn encoder(self) -> Encoder {
        match self {
            Self::Int4 => Encoder::Int4,
            Self::Int8 => Encoder::Int8,
            Self::Numeric => Encoder::Numeric,
            Self::Timestamp => Encoder::Timestamp,
            Self::Timestamptz => Encoder::Timestamptz,
            Self::Date => Encoder::Date,
        }
    }

    /// The order of two encoded bounds.
    fn compare(self, one: &[u8], other: &[u8]) -> Ordering {
        match self {
            Self::Numeric => numeric::compare(one, other),
            _ => integer(one).cmp(&integer(other)),
        }
    }

    /// Refuses a bound that has no successor, where the canonical form asks for that.
    fn check_step(self, value: Option<&[u8]>, literal: Option<&str>) -> Result<(), Rejection> {
        let (Some(value), Some(literal)) = (value, literal) else { return Ok(()) };
        let value = integer(value);
        match self {
            Self::Int4 if value == i64::from(i32::MAX) => Err(out_of_range("integer", literal)),
            Self::Int8 if value == i64::MAX => Err(out_of_range("bigint", literal)),
            Self::Date if !datetime::has_next_date(value) => Err(Rejection::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("{} is the last date; a range cannot include it", excerpt(literal)),
            )),
            _ => Ok(()),
        }
    }
}

/// A signed integer of four or eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    match (<[u8; 8]>::try_from(bytes), <[u8; 4]>::try_from(bytes)) {
        (Ok(bytes), _) => i64::from_be_bytes(bytes),
        (_, Ok(bytes)) => i64::from(i32::from_be_bytes(bytes)),
        _ => 0,
    }
}

fn upside_down(lower: &Option<Cow<'_, str>>, upper: &Option<Cow<'_, str>>) -> Rejection {
    let bound = |literal: &Option<Cow<'_, str>>| excerpt(literal.as_deref().unwrap_or_default());
    Rejection::new(
        SqlState::DATA_EXCEPTION,
        format!("range lower bound {} is above its upper bound {}", bound(lower), bound(upper)),
    )
}
