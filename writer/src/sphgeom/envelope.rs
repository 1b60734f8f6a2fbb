//! The pixels that may overlap a region: from the octants down, leaving out what is disjoint.

use std::ops::Range;

use super::circle::Circle;
use super::effort::Effort;
use super::lon_lat_box::LonLatBox;
use super::polygon::ConvexPolygon;
use super::region::Shape;
use super::trixel::{Relation, Trixel};
use super::{PixelRanges, RegionError};

/// The finest level: its indexes have 52 bits.
pub const MAX_LEVEL: u8 = 24;

/// The pixels of a level that may overlap a region.
pub fn envelope(shape: &Shape, level: u8, effort: &mut Effort) -> Result<PixelRanges, RegionError> {
    if level > MAX_LEVEL {
        return Err(RegionError::Level(level));
    }
    match shape {
        Shape::ConvexPolygon(polygon) => search(polygon, level, effort),
        Shape::Circle(circle, _) => search(circle, level, effort),
        Shape::Ellipse(ellipse) => search(&ellipse.bounding_circle(), level, effort),
        Shape::Box(lon_lat_box) => search(lon_lat_box, level, effort),
        Shape::Union(operands) => {
            let envelopes = operands.iter().map(|operand| envelope(operand, level, effort));
            Ok(PixelRanges::union(envelopes.collect::<Result<_, _>>()?))
        }
        Shape::Intersection(operands) => {
            let mut common = PixelRanges::from(whole_sky(level));
            for operand in operands {
                let other = envelope(operand, level, effort)?;
                effort.add((common.ranges().len() + other.ranges().len()) as u64);
                effort.check()?;
                common = common.intersection(&other);
            }
            Ok(common)
        }
    }
}

/// A region of one piece, to which trixels have relations.
trait Piece {
    fn relate(&self, trixel: &Trixel, effort: &mut Effort) -> Relation;
}

impl Piece for ConvexPolygon {
    fn relate(&self, trixel: &Trixel, effort: &mut Effort) -> Relation {
        self.relate(trixel, effort)
    }
}

impl Piece for Circle {
    fn relate(&self, trixel: &Trixel, effort: &mut Effort) -> Relation {
        self.relate(trixel, effort)
    }
}

impl Piece for LonLatBox {
    fn relate(&self, trixel: &Trixel, effort: &mut Effort) -> Relation {
        self.relate(trixel, effort)
    }
}

fn search(piece: &impl Piece, level: u8, effort: &mut Effort) -> Result<PixelRanges, RegionError> {
    let mut found = PixelRanges::default();
    for root in Trixel::roots() {
        visit(piece, &root, level, &mut found, effort)?;
    }
    Ok(found)
}

/// Adds those of a trixel's descendants, so many levels below it, that are not disjoint from a
/// region.
fn visit(
    piece: &impl Piece,
    trixel: &Trixel,
    levels: u8,
    found: &mut PixelRanges,
    effort: &mut Effort,
) -> Result<(), RegionError> {
    effort.check()?;
    match piece.relate(trixel, effort) {
        Relation::Disjoint => {}
        Relation::Intersects if levels > 0 => {
            for child in trixel.children() {
                visit(piece, &child, levels - 1, found, effort)?;
            }
        }
        Relation::Within | Relation::Intersects => found.push(descendants(trixel.index, levels)),
    }
    Ok(())
}

/// The indexes of a trixel's descendants, so many levels below it.
fn descendants(index: u64, levels: u8) -> Range<u64> {
    index << (2 * levels)..(index + 1) << (2 * levels)
}

fn whole_sky(level: u8) -> Range<u64> {
    8 << (2 * level)..16 << (2 * level)
}
