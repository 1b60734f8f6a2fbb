//! Vectors in space. Those that stand for points of the sky have unit length, but nothing checks
//! that: what a client stored is taken as it is.

use std::ops::{Add, Neg, Sub};

/// A vector, or the point of the sky in its direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vector {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

impl Vector {
    /// A vector of three components.
    pub const fn new(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    /// Whether no component is infinite or not a number.
    pub fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.z.is_finite()
    }

    /// The scalar product.
    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// The square of the length.
    pub fn squared_norm(self) -> f64 {
        self.dot(self)
    }

    /// The vector product.
    pub fn cross(self, other: Self) -> Self {
        Self {
            x: self.y * other.z - self.z * other.y,
            y: self.z * other.x - self.x * other.z,
            z: self.x * other.y - self.y * other.x,
        }
    }

    /// Twice the vector product, which keeps its precision where the two are nearly the same.
    pub fn robust_cross(self, other: Self) -> Self {
        (other + self).cross(other - self)
    }

    /// The point halfway between two points that are not antipodes.
    ///
    /// The largest component of their sum becomes one before the length is taken, so that neither
    /// the rounding nor the order of the others can differ from the library's.
    pub fn midpoint(self, other: Self) -> Self {
        let sum = self + other;
        let (x, y, z) = (sum.x.abs(), sum.y.abs(), sum.z.abs());
        if x > y && x > z {
            let (x, y, z) = divided_by_largest(sum.x, sum.y, sum.z);
            Self { x, y, z }
        } else if y > z {
            let (y, x, z) = divided_by_largest(sum.y, sum.x, sum.z);
            Self { x, y, z }
        } else {
            let (z, x, y) = divided_by_largest(sum.z, sum.x, sum.y);
            Self { x, y, z }
        }
    }
}

/// Unit length for a vector whose first component has the largest magnitude.
fn divided_by_largest(largest: f64, second: f64, third: f64) -> (f64, f64, f64) {
    let magnitude = largest.abs();
    let (second, third) = (second / magnitude, third / magnitude);
    let norm = (1.0 + (second * second + third * third)).sqrt();
    (1.0_f64.copysign(largest) / norm, second / norm, third / norm)
}

impl Add for Vector {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y, z: self.z + other.z }
    }
}

impl Sub for Vector {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y, z: self.z - other.z }
    }
}

impl Neg for Vector {
    type Output = Self;

    fn neg(self) -> Self {
        Self { x: -self.x, y: -self.y, z: -self.z }
    }
}

#[cfg(test)]
mod tests {
    use super::Vector;

    #[test]
    fn the_midpoint_has_unit_length() {
        let (a, b) = (Vector::new(1.0, 0.0, 0.0), Vector::new(0.0, -1.0, 0.0));
        let middle = a.midpoint(b);
        assert!((middle.squared_norm() - 1.0).abs() < 4.0 * f64::EPSILON);
        assert_eq!(middle, Vector::new(1.0 / 2_f64.sqrt(), -1.0 / 2_f64.sqrt(), 0.0));
        assert_eq!(middle, b.midpoint(a));
    }

    #[test]
    fn ties_for_the_largest_component_give_one_result() {
        let (x, y, z) = (0.7, -0.7, 0.1);
        let first = super::divided_by_largest(x, y, z);
        let (second_y, second_x, second_z) = super::divided_by_largest(y, x, z);
        assert_eq!(first, (second_x, second_y, second_z));
    }
}
