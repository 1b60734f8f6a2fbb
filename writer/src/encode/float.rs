//! `real`, `double precision`

use super::{invalid, out_of_range};
use crate::rejection::Rejection;

/// The double that is nearest to the literal.
pub fn parse_f64(literal: &str) -> Result<f64, Rejection> {
    let trimmed = literal.trim_ascii();
    let value: f64 = trimmed.parse().map_err(|_| invalid("double precision", literal))?;
    if overflows(trimmed, value.is_infinite(), value == 0.0) {
        return Err(out_of_range("double precision", literal));
    }
    Ok(value)
}

/// The single that is nearest to the literal, rounded once.
pub fn parse_f32(literal: &str) -> Result<f32, Rejection> {
    let trimmed = literal.trim_ascii();
    let value: f32 = trimmed.parse().map_err(|_| invalid("real", literal))?;
    if overflows(trimmed, value.is_infinite(), value == 0.0) {
        return Err(out_of_range("real", literal));
    }
    Ok(value)
}

/// Whether a number became infinite or zero that isn't written so.
fn overflows(literal: &str, is_infinite: bool, is_zero: bool) -> bool {
    let mantissa = || literal.split(['e', 'E']).next().unwrap_or_default();
    (is_infinite && literal.contains(|c: char| c.is_ascii_digit()))
        || (is_zero && mantissa().contains(|c: char| matches!(c, '1'..='9')))
}
