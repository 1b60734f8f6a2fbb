//! On which side of a plane through the centre a point lies: what all relations of polygons come
//! down to.

use std::cmp::Ordering;

use super::effort::Effort;
use super::exact::determinant_sign;
use super::vector::Vector;

/// For unit vectors, the determinant's error is below this.
const MAX_ABSOLUTE_ERROR: f64 = 1.7e-15;
/// The determinant's error is below this, relative to the permanent of the magnitudes.
const RELATIVE_ERROR: f64 = 5.6e-16;
/// What underflow can add to the error.
const UNDERFLOW_ERROR: f64 = 4.0e-307;

/// What an exact answer costs, in steps.
const EXACT_STEPS: u64 = 128;

/// The sign of the determinant whose rows are three finite vectors: `Greater` if they turn
/// counter-clockwise when seen from outside, `Equal` if they lie on one great circle.
///
/// For unit vectors this is the exact sign. For others it is what the library says, whose
/// thresholds and order of operations are kept.
pub fn orientation(a: Vector, b: Vector, c: Vector, effort: &mut Effort) -> Ordering {
    effort.add(1);
    let (yz, zy) = (b.y * c.z, b.z * c.y);
    let (zx, xz) = (b.z * c.x, b.x * c.z);
    let (xy, yx) = (b.x * c.y, b.y * c.x);
    let determinant = a.x * (yz - zy) + a.y * (zx - xz) + a.z * (xy - yx);
    if let Some(sign) = sign_beyond(determinant, MAX_ABSOLUTE_ERROR) {
        return sign;
    }
    let permanent = a.x.abs() * (yz.abs() + zy.abs())
        + a.y.abs() * (zx.abs() + xz.abs())
        + a.z.abs() * (xy.abs() + yx.abs());
    if let Some(sign) = sign_beyond(determinant, RELATIVE_ERROR * permanent + UNDERFLOW_ERROR) {
        return sign;
    }
    if a == b || b == c || a == c || a == -b || b == -c || a == -c {
        return Ordering::Equal;
    }
    effort.add(EXACT_STEPS);
    determinant_sign(a, b, c)
}

/// The sign of a number whose magnitude is above an error. Numbers that overflowed have none.
fn sign_beyond(number: f64, error: f64) -> Option<Ordering> {
    if number > error {
        Some(Ordering::Greater)
    } else if number < -error {
        Some(Ordering::Less)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use super::{EXACT_STEPS, Effort, Vector, orientation};

    #[test]
    fn turns_as_the_axes_do() {
        let (x, y, z) =
            (Vector::new(1.0, 0.0, 0.0), Vector::new(0.0, 1.0, 0.0), Vector::new(0.0, 0.0, 1.0));
        let effort = &mut Effort::default();
        assert_eq!(orientation(x, y, z, effort), Greater);
        assert_eq!(orientation(y, x, z, effort), Less);
        assert_eq!(orientation(x, x, z, effort), Equal);
        assert_eq!(orientation(x, -x, z, effort), Equal);
        assert_eq!(effort.steps(), 4, "none of it needs exact arithmetic");
    }

    #[test]
    fn is_exact_where_rounding_hides_the_sign() {
        let (a, b) = (Vector::new(0.6, 0.8, 0.0), Vector::new(0.8, -0.6, 0.0));
        let effort = &mut Effort::default();
        let c = Vector::new(0.28, 0.96, 5e-324);
        assert_eq!(orientation(a, b, c, effort), Less);
        assert_eq!(orientation(a, b, -c, effort), Greater);
        assert_eq!(effort.steps(), 2 * (EXACT_STEPS + 1));
    }
}
