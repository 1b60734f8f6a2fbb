//! Boxes of longitude and latitude, and how trixels lie to them: by the trixels' bounding boxes.

use std::cmp::Ordering;
use std::f64::consts::{FRAC_PI_2, TAU};

use super::effort::Effort;
use super::latitudes::Latitudes;
use super::longitudes::Longitudes;
use super::orientation::orientation;
use super::trixel::{Relation, Trixel};
use super::vector::Vector;

/// Bounding boxes are wider by this than their vertices, in radians: about 0.1 milliarcseconds.
const MARGIN: f64 = 5.0e-10;

/// What a relation costs, in steps.
const STEPS: u64 = 64;

const NORTH: Vector = Vector::new(0.0, 0.0, 1.0);

/// All points between two longitudes and two latitudes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LonLatBox {
    longitudes: Longitudes,
    latitudes: Latitudes,
}

impl LonLatBox {
    /// The box. If one of its intervals is empty, both are.
    pub fn new(longitudes: Longitudes, latitudes: Latitudes) -> Self {
        if latitudes.is_empty() {
            Self { longitudes: Longitudes::EMPTY, latitudes }
        } else if longitudes.is_empty() {
            Self { longitudes, latitudes: Latitudes::EMPTY }
        } else {
            Self { longitudes, latitudes }
        }
    }

    /// Two longitudes, two latitudes.
    pub fn ends(&self) -> [f64; 4] {
        let ([west, east], [south, north]) = (self.longitudes.ends(), self.latitudes.ends());
        [west, east, south, north]
    }

    /// How a trixel lies to it, as far as its bounding box tells.
    pub fn relate(&self, trixel: &Trixel, effort: &mut Effort) -> Relation {
        effort.add(STEPS);
        if self.latitudes.is_empty() {
            return Relation::Disjoint;
        }
        let bounds = Self::around(trixel, effort);
        let relations =
            [bounds.longitudes.relate(self.longitudes), bounds.latitudes.relate(self.latitudes)];
        if relations.contains(&Relation::Disjoint) {
            Relation::Disjoint
        } else if relations == [Relation::Within; 2] {
            Relation::Within
        } else {
            Relation::Intersects
        }
    }

    /// The bounding box of a trixel: around its vertices, the points of its edges that are nearest
    /// to a pole, and a pole that it holds.
    fn around(trixel: &Trixel, effort: &mut Effort) -> Self {
        let mut bounds = Self { longitudes: Longitudes::EMPTY, latitudes: Latitudes::EMPTY };
        let (mut has_westward, mut has_eastward) = (false, false);
        for (from, to) in trixel.edges() {
            let (longitude, latitude) = (longitude(to), latitude(to));
            bounds = bounds.expanded_to(
                Longitudes::around(longitude, MARGIN),
                Latitudes::around(latitude, MARGIN),
            );
            match orientation(NORTH, from, to, effort) {
                Ordering::Less => has_westward = true,
                Ordering::Equal => {}
                Ordering::Greater => has_eastward = true,
            }
            if let Some(latitude) = extreme_latitude(from, to) {
                let latitudes = bounds.latitudes.expanded_to(Latitudes::of(latitude));
                let [south, north] = latitudes.ends();
                bounds.latitudes = Latitudes::new(south, north);
            }
        }
        if !has_westward {
            bounds.expanded_to(Longitudes::FULL, Latitudes::of(FRAC_PI_2))
        } else if !has_eastward {
            bounds.expanded_to(Longitudes::FULL, Latitudes::of(-FRAC_PI_2))
        } else {
            bounds
        }
    }

    fn expanded_to(self, longitudes: Longitudes, latitudes: Latitudes) -> Self {
        Self {
            longitudes: self.longitudes.expanded_to(longitudes),
            latitudes: self.latitudes.expanded_to(latitudes),
        }
    }
}

/// The latitude at which an edge is nearest to a pole, with a margin, if that is between its ends.
fn extreme_latitude(from: Vector, to: Vector) -> Option<f64> {
    let normal = from.robust_cross(to);
    let highest = Vector::new(
        -normal.x * normal.z,
        -normal.y * normal.z,
        normal.x * normal.x + normal.y * normal.y,
    );
    if highest == Vector::new(0.0, 0.0, 0.0) {
        return None;
    }
    // On which side of the meridian of the highest point the ends are.
    let side = |end: Vector| end.y * normal.x - end.x * normal.y;
    let (side_from, side_to) = (side(from), side(to));
    if side_from > 0.0 && side_to < 0.0 {
        Some(latitude(highest) + MARGIN)
    } else if side_from < 0.0 && side_to > 0.0 {
        Some(latitude(-highest) - MARGIN)
    } else {
        None
    }
}

/// From 0 to 2π; 0 for a pole.
fn longitude(point: Vector) -> f64 {
    if point.x * point.x + point.y * point.y == 0.0 {
        return 0.0;
    }
    let longitude = point.y.atan2(point.x);
    if longitude < 0.0 { longitude + TAU } else { longitude }
}

/// From −π/2 to π/2.
fn latitude(point: Vector) -> f64 {
    if point.z == 0.0 {
        return 0.0;
    }
    let from_axis = (point.x * point.x + point.y * point.y).sqrt();
    point.z.atan2(from_axis).clamp(-FRAC_PI_2, FRAC_PI_2)
}
