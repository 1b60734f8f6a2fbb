//! Ellipses, of which the envelope sees the bounding circle alone.

use std::f64::consts::FRAC_PI_2;

use super::circle::Circle;
use super::vector::Vector;

/// Added to the radius of the bounding circle, in radians, for the error of arcsines.
const MARGIN: f64 = 3.0e-8;

/// An ellipse, in the numbers that it is stored as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ellipse {
    /// The matrix that turns the centre to the pole and the axes to x and y, row by row.
    pub matrix: [f64; 9],
    /// The two semi-axes, in radians, less a right angle.
    pub axes: [f64; 2],
    /// Half the angle between the foci; the magnitudes of the tangents of `axes`.
    pub derived: [f64; 3],
}

impl Ellipse {
    /// The centre.
    pub fn centre(&self) -> Vector {
        let [.., x, y, z] = self.matrix;
        Vector::new(x, y, z)
    }

    /// A circle around it.
    pub fn bounding_circle(&self) -> Circle {
        let [alpha, beta] = self.axes.map(|axis| FRAC_PI_2 + axis);
        let longer = if alpha < beta { beta } else { alpha };
        Circle::of_radius(self.centre(), longer + MARGIN)
    }
}
