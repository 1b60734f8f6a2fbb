//! Circles, and how trixels lie to them.

use std::f64::consts::{FRAC_PI_2, PI};

use super::effort::Effort;
use super::polygon;
use super::trixel::{Relation, Trixel};
use super::vector::Vector;

/// The error of a squared distance between two unit vectors is below this.
const SQUARED_CHORD_ERROR: f64 = 2.5e-15;

/// What a relation costs, in steps.
const STEPS: u64 = 32;

/// A circle: all points whose squared distance to the centre is at most a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    /// The centre.
    pub centre: Vector,
    /// The square of the straight distance to the boundary. Below 0, or not a number: the circle
    /// is empty; 4 or more: it is the whole sky.
    pub squared_chord: f64,
}

impl Circle {
    /// The circle of this radius, in radians.
    pub fn of_radius(centre: Vector, radius: f64) -> Self {
        let squared_chord = if radius < 0.0 {
            -1.0
        } else if radius >= PI {
            4.0
        } else {
            squared_chord((0.5 * radius).sin())
        };
        Self { centre, squared_chord }
    }

    /// How a trixel lies to it. What is too close to call intersects.
    pub fn relate(&self, trixel: &Trixel, effort: &mut Effort) -> Relation {
        effort.add(STEPS);
        if self.squared_chord.is_nan() || self.squared_chord < 0.0 {
            return Relation::Disjoint;
        }
        if self.squared_chord >= 4.0 {
            return Relation::Within;
        }
        match trixel.vertices.map(|vertex| self.is_inside(vertex)) {
            [Some(true), Some(true), Some(true)] => self.relate_inner(trixel, effort),
            [Some(false), Some(false), Some(false)] => self.relate_outer(trixel, effort),
            _ => Relation::Intersects,
        }
    }

    /// Whether a point is inside, if that can be told.
    fn is_inside(&self, point: Vector) -> Option<bool> {
        let distance = (point - self.centre).squared_norm();
        let is_close = (distance - self.squared_chord).abs() < SQUARED_CHORD_ERROR;
        if is_close { None } else { Some(distance < self.squared_chord) }
    }

    /// For a trixel with all vertices inside: its edges may bulge out, and it may hold all that
    /// is outside.
    fn relate_inner(&self, trixel: &Trixel, effort: &mut Effort) -> Relation {
        let limit = self.squared_chord - SQUARED_CHORD_ERROR;
        let is_outside = |(a, b)| max_squared_chord(self.centre, a, b) > limit;
        if trixel.edges().into_iter().any(is_outside)
            || polygon::contains(trixel, -self.centre, effort)
        {
            Relation::Intersects
        } else {
            Relation::Within
        }
    }

    /// For a trixel with all vertices outside: the circle may bulge in, or lie in its middle.
    fn relate_outer(&self, trixel: &Trixel, effort: &mut Effort) -> Relation {
        let limit = self.squared_chord + SQUARED_CHORD_ERROR;
        let is_reached = |(a, b)| min_squared_chord(self.centre, a, b) < limit;
        if trixel.edges().into_iter().any(is_reached)
            || polygon::contains(trixel, self.centre, effort)
        {
            Relation::Intersects
        } else {
            Relation::Disjoint
        }
    }
}

/// The square of the distance of the inner point of an edge that is nearest to a point, or 4 if
/// an end is nearer.
fn min_squared_chord(point: Vector, a: Vector, b: Vector) -> f64 {
    let normal = a.robust_cross(b);
    let across = point.cross(normal);
    if !(across.dot(a) > 0.0 && across.dot(b) < 0.0) {
        return 4.0;
    }
    let sine = point.dot(normal).abs();
    let cosine = across.squared_norm().sqrt();
    let angle = if cosine == 0.0 { FRAC_PI_2 } else { (sine / cosine).atan() };
    squared_chord((0.5 * angle).sin())
}

/// The square of the distance of the inner point of an edge that is farthest from a point, or 0
/// if an end is farther.
fn max_squared_chord(point: Vector, a: Vector, b: Vector) -> f64 {
    let normal = a.robust_cross(b);
    let across = point.cross(normal);
    if !(across.dot(a) < 0.0 && across.dot(b) > 0.0) {
        return 0.0;
    }
    let sine = point.dot(normal).abs();
    let cosine = -across.squared_norm().sqrt();
    squared_chord((0.5 * sine.atan2(cosine)).sin())
}

/// The square of the straight distance between two points, by the sine of half their angle.
fn squared_chord(half_sine: f64) -> f64 {
    4.0 * half_sine * half_sine
}
