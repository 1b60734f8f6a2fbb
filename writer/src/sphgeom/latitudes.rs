//! Intervals of latitude.

use std::f64::consts::FRAC_PI_2;

use super::trixel::Relation;

/// Latitudes from one to another, in radians. If the first is above the second, or one is not a
/// number, there are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latitudes {
    south: f64,
    north: f64,
}

impl Latitudes {
    /// No latitude.
    pub const EMPTY: Self = Self { south: 1.0, north: 0.0 };

    /// The interval between two angles, as far as it lies between the poles.
    pub fn new(south: f64, north: f64) -> Self {
        let interval = Self { south, north };
        if interval.is_empty() {
            return interval;
        }
        Self { south: south.max(-FRAC_PI_2), north: north.min(FRAC_PI_2) }
    }

    /// One latitude.
    pub fn of(latitude: f64) -> Self {
        Self { south: latitude, north: latitude }
    }

    /// The interval around a latitude that reaches so far to either side.
    pub fn around(latitude: f64, reach: f64) -> Self {
        Self::new(latitude - reach, latitude + reach)
    }

    /// The two ends.
    pub fn ends(self) -> [f64; 2] {
        [self.south, self.north]
    }

    /// Whether there is no latitude.
    pub fn is_empty(self) -> bool {
        self.south.is_nan() || self.north.is_nan() || self.south > self.north
    }

    /// The smallest interval that has both. The other must not be empty.
    pub fn expanded_to(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        Self { south: self.south.min(other.south), north: self.north.max(other.north) }
    }

    /// How it lies to another. Neither may be empty.
    pub fn relate(self, other: Self) -> Relation {
        if self.south > other.north || self.north < other.south {
            Relation::Disjoint
        } else if other.south <= self.south && self.north <= other.north {
            Relation::Within
        } else {
            Relation::Intersects
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::{Latitudes, Relation};

    #[test]
    fn end_at_the_poles() {
        assert_eq!(Latitudes::new(-2.0, 1.0).ends(), [-FRAC_PI_2, 1.0]);
        assert_eq!(Latitudes::new(-2.0, f64::INFINITY).ends(), [-FRAC_PI_2, FRAC_PI_2]);
        assert!(Latitudes::new(2.0, 3.0).is_empty());
        assert_eq!(Latitudes::new(5.0, 4.0).ends(), [5.0, 4.0]);
        assert!(Latitudes::new(f64::NAN, 0.0).is_empty());
        assert!(Latitudes::EMPTY.is_empty());
    }

    #[test]
    fn relate_as_intervals_do() {
        let band = Latitudes::new(0.0, 1.0);
        for (other, relation) in [
            (band, Relation::Within),
            (Latitudes::new(-0.1, 1.0), Relation::Within),
            (Latitudes::new(0.1, 0.9), Relation::Intersects),
            (Latitudes::new(1.0, 1.2), Relation::Intersects),
            (Latitudes::new(1.1, 1.2), Relation::Disjoint),
            (Latitudes::of(-0.1), Relation::Disjoint),
        ] {
            assert_eq!(band.relate(other), relation, "{other:?}");
        }
    }

    #[test]
    fn expand_to_both() {
        let band = Latitudes::EMPTY.expanded_to(Latitudes::of(0.5));
        assert_eq!(band.expanded_to(Latitudes::around(0.0, 0.1)).ends(), [-0.1, 0.5]);
    }
}
