//! What holds of any envelope.

use std::cmp::Ordering;
use std::f64::consts::{FRAC_PI_2, TAU};

use proptest::prelude::*;

use super::encoding::{compound, simple};
use crate::sphgeom::effort::Effort;
use crate::sphgeom::orientation::orientation;
use crate::sphgeom::trixel::Trixel;
use crate::sphgeom::vector::Vector;
use crate::sphgeom::{MAX_LEVEL, PixelRanges, Region, RegionError, polygon};

fn point(longitude: f64, latitude: f64) -> Vector {
    let (sine, cosine) = latitude.sin_cos();
    Vector::new(longitude.cos() * cosine, longitude.sin() * cosine, sine)
}

/// A regular polygon, turned by an angle, and its encoding.
#[derive(Debug, Clone)]
struct Polygon {
    centre: Vector,
    radius: f64,
    vertices: Vec<Vector>,
}

impl Polygon {
    fn new(longitude: f64, latitude: f64, radius: f64, sides: u32, turn: f64) -> Self {
        let centre = point(longitude, latitude);
        let east = Vector::new(-longitude.sin(), longitude.cos(), 0.0);
        let north = centre.cross(east);
        let vertex = |side: u32| {
            let angle = turn + TAU * f64::from(side) / f64::from(sides);
            let (x, y) = (radius.sin() * angle.cos(), radius.sin() * angle.sin());
            let mix =
                |centre: f64, east: f64, north: f64| radius.cos() * centre + x * east + y * north;
            Vector::new(
                mix(centre.x, east.x, north.x),
                mix(centre.y, east.y, north.y),
                mix(centre.z, east.z, north.z),
            )
        };
        Self { centre, radius, vertices: (0..sides).map(vertex).collect() }
    }

    fn encoded(&self) -> Vec<u8> {
        let numbers: Vec<_> =
            self.vertices.iter().flat_map(|vertex| [vertex.x, vertex.y, vertex.z]).collect();
        simple(b'p', &numbers)
    }

    fn envelope(&self, level: u8) -> PixelRanges {
        envelope(&self.encoded(), level)
    }
}

fn envelope(bytes: &[u8], level: u8) -> PixelRanges {
    Region::decode(bytes).unwrap().envelope(level).unwrap()
}

fn circle(centre: Vector, radius: f64) -> Vec<u8> {
    let squared_chord = 4.0 * (0.5 * radius).sin().powi(2);
    simple(b'c', &[centre.x, centre.y, centre.z, squared_chord, radius])
}

fn polygons() -> impl Strategy<Value = Polygon> {
    (0.0..TAU, -FRAC_PI_2..FRAC_PI_2, -9.0..0.1_f64, 3..9_u32, 0.0..TAU).prop_map(
        |(longitude, latitude, size, sides, turn)| {
            Polygon::new(longitude, latitude, 10_f64.powf(size), sides, turn)
        },
    )
}

/// The pixel of a level that a point lies in, or one of them.
fn pixel_of(point: Vector, level: u8) -> u64 {
    let effort = &mut Effort::default();
    let mut candidates = Trixel::roots().to_vec();
    for _ in 0..level {
        let trixel = candidates.iter().find(|trixel| polygon::contains(trixel, point, effort));
        candidates = trixel.unwrap().children().to_vec();
    }
    candidates.iter().find(|trixel| polygon::contains(trixel, point, effort)).unwrap().index
}

fn has(envelope: &PixelRanges, pixel: u64) -> bool {
    envelope.ranges().iter().any(|range| range.contains(&pixel))
}

fn is_subset(a: &PixelRanges, b: &PixelRanges) -> bool {
    a.intersection(b) == *a
}

proptest! {
    #[test]
    fn vertices_and_centre_are_covered(polygon in polygons(), level in 0..=10_u8) {
        let envelope = polygon.envelope(level);
        for &point in polygon.vertices.iter().chain([&polygon.centre]) {
            let pixel = pixel_of(point, level);
            prop_assert!(has(&envelope, pixel), "{pixel}");
        }
        prop_assert!(envelope.pixels().all(|pixel| pixel >> (2 * level) >> 3 == 1));
    }

    #[test]
    fn every_pixel_has_its_parent(polygon in polygons(), level in 0..9_u8) {
        let parents = polygon.envelope(level);
        for range in polygon.envelope(level + 1).ranges() {
            prop_assert!((range.start >> 2..=(range.end - 1) >> 2).all(|pixel| has(&parents, pixel)));
        }
    }

    #[test]
    fn circles_lie_between_polygons(polygon in polygons()) {
        let outer = envelope(&circle(polygon.centre, polygon.radius * 1.001 + 1e-7), 7);
        prop_assert!(is_subset(&polygon.envelope(7), &outer));
        let sides = polygon.vertices.len() as f64;
        let inradius = (polygon.radius.tan() * (std::f64::consts::PI / sides).cos()).atan();
        let inner = envelope(&circle(polygon.centre, inradius * 0.999 - 1e-7), 7);
        prop_assert!(is_subset(&inner, &polygon.envelope(7)));
    }

    #[test]
    fn compounds_are_sets(polygons in prop::collection::vec(polygons(), 0..4)) {
        let operands: Vec<_> = polygons.iter().map(Polygon::encoded).collect();
        let envelopes: Vec<_> = polygons.iter().map(|polygon| polygon.envelope(6)).collect();
        let whole = PixelRanges::from(8 << 12..16 << 12);
        let common = envelopes.iter().fold(whole, |common, other| common.intersection(other));
        prop_assert_eq!(envelope(&compound(b'i', &operands), 6), common);
        prop_assert_eq!(envelope(&compound(b'u', &operands), 6), PixelRanges::union(envelopes));
    }

    #[test]
    fn orientations_are_antisymmetric(
        a in points(), b in points(), c in points(), scale in 1..4_i32
    ) {
        // Points on one great circle, but for rounding.
        let middle = a.midpoint(b);
        let c = if scale == 1 { c } else { middle };
        let effort = &mut Effort::default();
        let sign = orientation(a, b, c, effort);
        prop_assert_eq!(orientation(b, c, a, effort), sign);
        prop_assert_eq!(orientation(b, a, c, effort), sign.reverse());
        prop_assert_eq!(orientation(a, b, -c, effort), sign.reverse());
        prop_assert_eq!(orientation(a, b, a, effort), Ordering::Equal);
        prop_assert_eq!(crate::sphgeom::exact::determinant_sign(a, b, c), sign);
    }
}

fn points() -> impl Strategy<Value = Vector> {
    (0.0..TAU, -1.5..1.5).prop_map(|(longitude, latitude)| point(longitude, latitude))
}

#[test]
fn circles_may_be_empty_or_full() {
    for squared_chord in [-1.0, -0.1, f64::NAN, f64::NEG_INFINITY] {
        assert!(envelope(&simple(b'c', &[0.0, 0.0, 1.0, squared_chord, 1.0]), 7).is_empty());
    }
    for squared_chord in [4.0, 5.0, f64::INFINITY] {
        let all = envelope(&simple(b'c', &[0.0, 0.0, 1.0, squared_chord, 1.0]), 7);
        assert_eq!(all, PixelRanges::from(131_072..262_144));
    }
}

#[test]
fn ellipses_are_their_bounding_circles() {
    let ellipse = |alpha: f64, beta: f64| {
        let mut numbers = [0.0; 14];
        numbers[8] = 1.0;
        numbers[9] = alpha - FRAC_PI_2;
        numbers[10] = beta - FRAC_PI_2;
        envelope(&simple(b'e', &numbers), 7)
    };
    let pole = Vector::new(0.0, 0.0, 1.0);
    assert_eq!(ellipse(0.1, 0.05), envelope(&circle(pole, 0.1), 7));
    assert_eq!(ellipse(0.05, 0.1), ellipse(0.1, 0.05));
    assert!(ellipse(-0.5, -0.5).is_empty());
    assert_eq!(ellipse(3.2, 3.2).len(), 131_072);
}

#[test]
fn boxes_are_found_by_their_bounds() {
    let find = |numbers: [f64; 4]| envelope(&simple(b'b', &numbers), 7);
    assert_eq!(find([0.0, TAU, -2.0, 2.0]).len(), 131_072);
    assert_eq!(find([1.0, 2.0, FRAC_PI_2, FRAC_PI_2]).len(), 4, "at the pole");
    assert!(find([1.0, 2.0, 0.5, 0.4]).is_empty());
    let (wrapping, shifted) = (find([6.0, 0.5, 0.2, 0.3]), find([6.0 - TAU, 0.5, 0.2, 0.3]));
    assert_eq!(wrapping, shifted);
    let halves = [find([6.0, TAU, 0.2, 0.3]), find([0.0, 0.5, 0.2, 0.3])];
    assert!(is_subset(&PixelRanges::union(halves.to_vec()), &wrapping));
}

#[test]
fn knows_its_levels() {
    let region = Region::decode(b"i").unwrap();
    assert_eq!(region.envelope(0), Ok(PixelRanges::from(8..16)));
    assert_eq!(region.envelope(MAX_LEVEL), Ok(PixelRanges::from(1 << 51..1 << 52)));
    assert_eq!(region.envelope(25), Err(RegionError::Level(25)));
}

/// Points so close to the centre of the world that nothing but exact arithmetic tells them apart.
fn slow() -> Region {
    let numbers: Vec<_> = (0..30_000).map(|number| f64::from(number % 97 - 48) * 1e-200).collect();
    Region::decode(&simple(b'p', &numbers)).unwrap()
}

#[test]
fn no_region_takes_for_ever() {
    assert_eq!(slow().envelope(7), Err(RegionError::Effort));
    let wide = Region::decode(&circle(Vector::new(0.6, 0.0, 0.8), 1.5)).unwrap();
    assert!(wide.envelope(7).unwrap().len() > 50_000);
    assert_eq!(wide.envelope(MAX_LEVEL), Err(RegionError::Effort));
}

#[test]
fn regions_can_share_a_bound() {
    let small = Region::decode(&circle(Vector::new(0.6, 0.0, 0.8), 0.01)).unwrap();
    let effort = &mut Effort::default();
    assert_eq!(small.envelope_within(7, effort), small.envelope(7));
    assert!(slow().envelope_within(7, effort).is_err());
    assert_eq!(small.envelope_within(7, effort), Err(RegionError::Effort));
}

/// The most that can be asked of the bound: half the sky, with an edge that runs along the mesh's,
/// so that only exact arithmetic tells on which side of it a pixel is.
#[test]
fn no_real_region_reaches_the_bound() {
    let north = Polygon::new(0.0, FRAC_PI_2, FRAC_PI_2, 100, 0.1);
    let numbers: Vec<_> =
        north.vertices.iter().flat_map(|vertex| [vertex.x, vertex.y, 0.0]).collect();
    let envelope = envelope(&simple(b'p', &numbers), 7);
    assert!((65_536..70_000).contains(&envelope.len()));
}
