//! `int8range`

use super::{field, integer, invalid, out_of_range};
use crate::rejection::{Rejection, SqlState};

/// A range of bigint in its canonical form: `[lower, upper)`, either bound may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Int8range {
    /// Holds nothing.
    Empty,
    /// From `lower` to just below `upper`.
    Bounds {
        /// The least number; none is −∞.
        lower: Option<i64>,
        /// The number after the last; none is ∞.
        upper: Option<i64>,
    },
}

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

impl Int8range {
    /// Appends the range as a field.
    pub fn encode(self, out: &mut Vec<u8>) {
        let Self::Bounds { lower, upper } = self else {
            field::fixed(&[EMPTY], out);
            return;
        };
        let lower_flag = if lower.is_some() { LOWER_INCLUSIVE } else { LOWER_INFINITE };
        let upper_flag = if upper.is_some() { 0 } else { UPPER_INFINITE };
        let bounds = usize::from(lower.is_some()) + usize::from(upper.is_some());
        out.extend_from_slice(&(1 + 12 * bounds as u32).to_be_bytes());
        out.push(lower_flag | upper_flag);
        for bound in [lower, upper].into_iter().flatten() {
            field::fixed(&bound.to_be_bytes(), out);
        }
    }
}

/// The range that the literal is, such as `[1,5)`, `(,5]` or `empty`.
pub fn parse(literal: &str) -> Result<Int8range, Rejection> {
    let refuse = || invalid("int8range", literal);
    let trimmed = literal.trim_ascii();
    if trimmed.eq_ignore_ascii_case("empty") {
        return Ok(Int8range::Empty);
    }
    let (lower_inclusive, rest) = match trimmed.split_at_checked(1) {
        Some(("[", rest)) => (true, rest),
        Some(("(", rest)) => (false, rest),
        _ => return Err(refuse()),
    };
    let (upper_inclusive, rest) = match rest.split_at_checked(rest.len().saturating_sub(1)) {
        Some((rest, "]")) => (true, rest),
        Some((rest, ")")) => (false, rest),
        _ => return Err(refuse()),
    };
    let (lower, upper) = rest.split_once(',').ok_or_else(refuse)?;
    let bound = |text: &str| match text {
        "" => Ok(None),
        text => integer::parse::<i64>(text).map(Some),
    };
    let (lower, upper) = (bound(lower)?, bound(upper)?);
    if let (Some(lower), Some(upper)) = (lower, upper) {
        if lower > upper {
            return Err(Rejection::new(
                SqlState::DATA_EXCEPTION,
                format!("range lower bound {lower} is above its upper bound {upper}"),
            ));
        }
        if lower == upper && !(lower_inclusive && upper_inclusive) {
            return Ok(Int8range::Empty);
        }
    }
    let step = |bound: Option<i64>, step: bool| match bound {
        Some(bound) if step => {
            bound.checked_add(1).map(Some).ok_or_else(|| out_of_range("int8range", literal))
        }
        bound => Ok(bound),
    };
    let (lower, upper) = (step(lower, !lower_inclusive)?, step(upper, upper_inclusive)?);
    Ok(match (lower, upper) {
        (Some(lower), Some(upper)) if lower >= upper => Int8range::Empty,
        _ => Int8range::Bounds { lower, upper },
    })
}
