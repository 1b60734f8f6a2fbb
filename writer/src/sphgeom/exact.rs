//! The sign of a determinant, whatever its magnitude: floating point numbers are integers times
//! powers of two, and integers can be as long as needed.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};

use super::vector::Vector;

/// The sign of the determinant whose rows are three finite vectors.
pub fn determinant_sign(a: Vector, b: Vector, c: Vector) -> Ordering {
    let products = [
        product(a.x, b.y, c.z),
        product(a.y, b.z, c.x),
        product(a.z, b.x, c.y),
        product(-a.x, b.z, c.y),
        product(-a.y, b.x, c.z),
        product(-a.z, b.y, c.x),
    ];
    let lowest = products.iter().flatten().map(|&(_, exponent)| exponent).min().unwrap_or(0);
    let aligned = products.into_iter().flatten().map(|(mantissa, exponent)| {
        // Not negative, and below 6,300: three times the range of a double's exponent.
        mantissa << exponent.abs_diff(lowest)
    });
    match aligned.sum::<BigInt>().sign() {
        Sign::Minus => Ordering::Less,
        Sign::NoSign => Ordering::Equal,
        Sign::Plus => Ordering::Greater,
    }
}

/// A product as mantissa and exponent of two; none if it is zero.
fn product(a: f64, b: f64, c: f64) -> Option<(BigInt, i32)> {
    if a == 0.0 || b == 0.0 || c == 0.0 {
        return None;
    }
    let ((a, a_exponent), (b, b_exponent), (c, c_exponent)) = (parts(a), parts(b), parts(c));
    let mantissa = BigInt::from(i128::from(a) * i128::from(b)) * c;
    Some((mantissa, a_exponent + b_exponent + c_exponent))
}

/// A finite number as mantissa and exponent of two.
fn parts(number: f64) -> (i64, i32) {
    let bits = number.to_bits();
    let biased_exponent = ((bits >> 52) & 0x7ff) as i32;
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (mantissa, exponent) = match biased_exponent {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, biased_exponent - 1075),
    };
    (if number.is_sign_negative() { -mantissa } else { mantissa }, exponent)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use super::{Vector, determinant_sign, parts};

    #[test]
    fn takes_numbers_apart() {
        for number in [1.0, -0.1, 1e300, -5e-324, f64::MIN_POSITIVE, f64::MAX, 2.5e-310] {
            let (mantissa, exponent) = parts(number);
            // In two steps, since the power alone may be out of range.
            let half = exponent / 2;
            let value = mantissa as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
            assert_eq!(value, number);
        }
    }

    #[test]
    fn sees_the_last_bit() {
        let (a, b) = (Vector::new(0.5, 0.25, 0.125), Vector::new(0.25, 0.5, 0.75));
        let between = a + b;
        assert_eq!(determinant_sign(a, b, between), Equal);
        let above = Vector { z: between.z.next_up(), ..between };
        let below = Vector { z: between.z.next_down(), ..between };
        assert_eq!(determinant_sign(a, b, above), Greater);
        assert_eq!(determinant_sign(a, b, below), Less);
    }

    #[test]
    fn knows_no_underflow_or_overflow() {
        for scale in [1e-300, 5e-324, 1e300] {
            let (x, y, z) = (
                Vector::new(scale, 0.0, 0.0),
                Vector::new(0.0, scale, 0.0),
                Vector::new(1.0, -1.0, scale),
            );
            assert_eq!(determinant_sign(x, y, z), Greater);
            assert_eq!(determinant_sign(y, x, z), Less);
            assert_eq!(determinant_sign(x, y, x), Equal);
        }
    }
}
