//! Regions, of whatever kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::circle::Circle;
use super::effort::Effort;
use super::ellipse::Ellipse;
use super::envelope::envelope;
use super::lon_lat_box::LonLatBox;
use super::polygon::ConvexPolygon;
use super::{PixelRanges, RegionError, decode, encode};
use crate::encode::decode_hex;

/// A region of the sky.
///
/// ```
/// use forebay_writer::sphgeom::Region;
///
/// // A union of nothing.
/// let region = Region::decode_hex("75")?;
/// assert_eq!(region.encoded_base64(), "dQ==");
/// assert!(region.envelope(7)?.is_empty());
/// # Ok::<(), forebay_writer::sphgeom::RegionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    pub(super) shape: Shape,
}

/// The kinds of regions, with what each is stored as.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    ConvexPolygon(ConvexPolygon),
    /// A circle, and its radius in radians, which nothing depends on.
    Circle(Circle, f64),
    Ellipse(Ellipse),
    Box(LonLatBox),
    /// All points of any operand, none of which is a union.
    Union(Vec<Shape>),
    /// All points that every operand has, none of which is an intersection.
    Intersection(Vec<Shape>),
}

impl Region {
    /// The region that the library encoded as these bytes.
    ///
    /// # Errors
    /// If they are no region, or one that is not supported: compounds nested too deep, or a point
    /// or longitude that is not finite (which the library takes, and finds arbitrary pixels for).
    pub fn decode(bytes: &[u8]) -> Result<Self, RegionError> {
        Ok(Self { shape: decode::shape(bytes)? })
    }

    /// The region that the library encoded as bytes, given in hexadecimal digits of either case.
    /// Blanks may stand between bytes.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and if these are no hexadecimal digits.
    pub fn decode_hex(digits: &str) -> Result<Self, RegionError> {
        let mut bytes = Vec::with_capacity(digits.len() / 2);
        decode_hex(digits, &mut bytes).map_err(RegionError::Digits)?;
        Self::decode(&bytes)
    }

    /// The bytes that the library encodes the region as. They are those that were decoded, except
    /// that a union is dissolved in the union that holds it, and so with intersections, and that
    /// a box has longitudes of 0 to 2π and latitudes between the poles.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::append(&self.shape, &mut bytes);
        bytes
    }

    /// [`encoded`](Self::encoded) as base64 without newlines, as a registry keeps it.
    #[must_use]
    pub fn encoded_base64(&self) -> String {
        STANDARD.encode(self.encoded())
    }

    /// The pixels of a level (0 to [`MAX_LEVEL`](super::MAX_LEVEL)) of the Hierarchical Triangular
    /// Mesh that may overlap the region. A registry keeps those of level 7.
    ///
    /// # Errors
    /// If there is no such level, or if the answer would take longer than any real region's.
    pub fn envelope(&self, level: u8) -> Result<PixelRanges, RegionError> {
        self.envelope_within(level, &mut Effort::default())
    }

    /// [`envelope`](Self::envelope) of one of several regions, which share a bound on the effort.
    ///
    /// # Errors
    /// As [`envelope`](Self::envelope)'s.
    pub fn envelope_within(
        &self,
        level: u8,
        effort: &mut Effort,
    ) -> Result<PixelRanges, RegionError> {
        envelope(&self.shape, level, effort)
    }
}
