//! Integers that may be written as floats: `2.0` is 2, as the official client reads it.

use crate::json::malformed;
use crate::rejection::{Rejection, SqlState};

/// The integer that a JSON number is. One with a point or an exponent is read as a double first,
/// as Python does.
pub fn integral(number: &str) -> Result<i64, Rejection> {
    let out_of_range = || {
        Rejection::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("{number} is out of range for type bigint"),
        )
    };
    if !number.contains(['.', 'e', 'E']) {
        return number.parse().map_err(|_| out_of_range());
    }
    let value: f64 = number.parse().map_err(|_| malformed("not a number"))?;
    if value.is_finite() && value.fract() != 0.0 {
        return Err(malformed(format!("{number} is not an integer")));
    }
    // 2^63 is the first double that is no bigint.
    if value.abs() >= 9_223_372_036_854_775_808.0 {
        return Err(out_of_range());
    }
    Ok(value as i64)
}

#[cfg(test)]
mod tests {
    use super::integral;

    #[test]
    fn reads_integers_exactly() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("2.0", 2),
            ("1e3", 1000),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integral(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for (text, sqlstate) in [
            ("2.5", "22P02"),
            ("1e-3", "22P02"),
            ("9223372036854775808", "22003"),
            ("9223372036854775808.0", "22003"),
            ("1e400", "22003"),
        ] {
            assert_eq!(integral(text).unwrap_err().sqlstate.as_str(), sqlstate, "{text}");
        }
    }
}
