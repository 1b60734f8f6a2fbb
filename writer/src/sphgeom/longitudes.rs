//! Intervals of longitude, which may cross the meridian of zero.

use std::f64::consts::TAU;

use super::trixel::Relation;

/// What the library writes for a longitude of an empty interval.
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// Longitudes from one to another, eastwards, in radians from 0 to 2π. If the first is above the
/// second they cross the meridian of zero. If one is not a number there are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Longitudes {
    west: f64,
    east: f64,
}

impl Longitudes {
    /// No longitude.
    pub const EMPTY: Self = Self { west: NAN, east: NAN };
    /// All longitudes.
    pub const FULL: Self = Self { west: 0.0, east: TAU };

    /// The interval between two angles. None if they are out of order: angles outside 0 to 2π must
    /// not cross the meridian of zero.
    pub fn new(west: f64, east: f64) -> Option<Self> {
        if west.is_nan() || east.is_nan() {
            return Some(Self::EMPTY);
        }
        let is_normal = |angle| (0.0..=TAU).contains(&angle);
        if !is_normal(west) || !is_normal(east) {
            if west > east {
                return None;
            }
            if east - west >= TAU {
                return Some(Self::FULL);
            }
        }
        Some(Self { west: normal(west), east: normal(east) })
    }

    /// The interval around a longitude of 0 to 2π that reaches so far, much less than π, to either
    /// side.
    pub fn around(longitude: f64, reach: f64) -> Self {
        let (west, east) = (longitude - reach, longitude + reach);
        Self {
            west: if west < 0.0 { west + TAU } else { west },
            east: if east > TAU { east - TAU } else { east },
        }
    }

    /// The two ends.
    pub fn ends(self) -> [f64; 2] {
        [self.west, self.east]
    }

    /// Whether there is no longitude.
    pub fn is_empty(self) -> bool {
        self.west.is_nan() || self.east.is_nan()
    }

    fn is_full(self) -> bool {
        self == Self::FULL
    }

    fn wraps(self) -> bool {
        self.west > self.east
    }

    fn contains(self, longitude: f64) -> bool {
        let (after_west, before_east) = (self.west <= longitude, longitude <= self.east);
        if self.wraps() { after_west || before_east } else { after_west && before_east }
    }

    /// A smallest interval that has both. The other must not be empty.
    pub fn expanded_to(self, other: Self) -> Self {
        match (self.contains(other.west), self.contains(other.east)) {
            (true, true) if self.wraps() != other.wraps() => Self::FULL,
            (true, true) => self,
            (true, false) => Self { east: other.east, ..self },
            (false, true) => Self { west: other.west, ..self },
            (false, false) if self.is_empty() || other.contains(self.west) => other,
            (false, false) if distance(self.east, other.west) < distance(other.east, self.west) => {
                Self { east: other.east, ..self }
            }
            (false, false) => Self { west: other.west, ..self },
        }
    }

    /// How it lies to another. Neither may be empty.
    pub fn relate(self, other: Self) -> Relation {
        let starts_within = other.west <= self.west;
        let ends_within = self.east <= other.east;
        let is_before_or_after = self.west > other.east || self.east < other.west;
        let is_in_gap = self.west > other.east && self.east < other.west;
        match (self.wraps(), other.wraps()) {
            _ if self == other => Relation::Within,
            (true, false) if other.is_full() => Relation::Within,
            (false, true) if starts_within || ends_within => Relation::Within,
            (true, false) | (false, true) if is_in_gap => Relation::Disjoint,
            (true, true) | (false, false) if starts_within && ends_within => Relation::Within,
            (false, false) if is_before_or_after => Relation::Disjoint,
            _ => Relation::Intersects,
        }
    }
}

/// An angle between 0 and 2π.
fn normal(angle: f64) -> f64 {
    if angle < 0.0 {
        angle % TAU + TAU
    } else if angle > TAU {
        angle % TAU
    } else {
        angle
    }
}

/// The angle eastwards.
fn distance(from: f64, to: f64) -> f64 {
    let distance = to - from;
    if distance < 0.0 { TAU + distance } else { distance }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{PI, TAU};

    use super::{Longitudes, Relation};

    fn interval(west: f64, east: f64) -> Longitudes {
        Longitudes::new(west, east).unwrap()
    }

    #[test]
    fn are_between_zero_and_a_turn() {
        assert_eq!(interval(1.0, 2.0).ends(), [1.0, 2.0]);
        assert_eq!(interval(6.0, 1.0).ends(), [6.0, 1.0]);
        assert_eq!(interval(-1.0, 1.0).ends(), [TAU - 1.0, 1.0]);
        assert_eq!(interval(7.0, 8.0).ends(), [7.0 - TAU, 8.0 - TAU]);
        assert_eq!(interval(-1.0, TAU).ends(), [0.0, TAU]);
        assert_eq!(Longitudes::new(1.0, -1.0), None);
        assert!(interval(f64::NAN, 1.0).is_empty());
        assert_eq!(Longitudes::around(0.1, 0.2).ends(), [0.1 - 0.2 + TAU, 0.1 + 0.2]);
        assert_eq!(Longitudes::around(TAU, 0.2).ends(), [TAU - 0.2, TAU + 0.2 - TAU]);
    }

    #[test]
    fn expand_the_shorter_way() {
        let expanded = |a: Longitudes, b| a.expanded_to(b).ends();
        assert_eq!(expanded(Longitudes::EMPTY, interval(1.0, 2.0)), [1.0, 2.0]);
        assert_eq!(expanded(interval(1.0, 2.0), interval(3.0, 4.0)), [1.0, 4.0]);
        assert_eq!(expanded(interval(0.5, 1.0), interval(6.0, 6.1)), [6.0, 1.0]);
        assert_eq!(expanded(interval(1.0, 3.0), interval(2.0, 4.0)), [1.0, 4.0]);
        assert_eq!(expanded(interval(1.0, 3.0), interval(1.5, 2.0)), [1.0, 3.0]);
        assert_eq!(expanded(interval(1.0, 3.0), interval(2.0, 1.5)), [0.0, TAU]);
        assert_eq!(expanded(interval(1.0, 3.0), Longitudes::FULL), [0.0, TAU]);
    }

    #[test]
    fn relate_across_the_meridian() {
        let wrapping = interval(6.0, 1.0);
        for (other, to, from) in [
            (interval(6.1, 0.5), Relation::Intersects, Relation::Within),
            (interval(0.1, 0.5), Relation::Intersects, Relation::Within),
            (interval(2.0, 5.0), Relation::Disjoint, Relation::Disjoint),
            (interval(0.5, 3.0), Relation::Intersects, Relation::Intersects),
            (Longitudes::FULL, Relation::Within, Relation::Intersects),
            (wrapping, Relation::Within, Relation::Within),
        ] {
            assert_eq!(wrapping.relate(other), to, "{other:?}");
            assert_eq!(other.relate(wrapping), from, "{other:?}");
        }
        assert_eq!(interval(1.0, 2.0).relate(interval(3.0, PI)), Relation::Disjoint);
        assert_eq!(interval(1.0, 2.0).relate(interval(0.5, 3.0)), Relation::Within);
        assert_eq!(interval(1.0, 2.0).relate(interval(1.5, 3.0)), Relation::Intersects);
    }
}
