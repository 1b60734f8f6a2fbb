//! The library's bytes: the kind of region, as an ASCII letter, then little-endian doubles.
//!
//! | kind | letter | then |
//! | --- | --- | --- |
//! | ConvexPolygon | `p` | three or more vertices |
//! | Circle | `c` | the centre, the squared chord to the boundary, the radius in radians |
//! | Ellipse | `e` | a matrix of three rows; α − π/2, β − π/2; γ, tan α, tan β |
//! | Box | `b` | two longitudes, two latitudes, in radians |
//! | UnionRegion | `u` | operands, each after the number of its bytes as a 64-bit integer |
//! | IntersectionRegion | `i` | likewise |

use super::RegionError;
use super::circle::Circle;
use super::ellipse::Ellipse;
use super::latitudes::Latitudes;
use super::lon_lat_box::LonLatBox;
use super::longitudes::Longitudes;
use super::polygon::ConvexPolygon;
use super::region::Shape;
use super::vector::Vector;

/// How deep compounds may be nested.
pub const MAX_DEPTH: usize = 64;

/// The bytes of a vertex.
const VERTEX: usize = 24;

/// Decodes a region.
pub fn shape(bytes: &[u8]) -> Result<Shape, RegionError> {
    nested(bytes, MAX_DEPTH)
}

/// Decodes a region which may hold so many levels of others.
fn nested(bytes: &[u8], depth: usize) -> Result<Shape, RegionError> {
    let (kind, body) = bytes.split_first().ok_or(RegionError::Empty)?;
    match kind {
        b'p' => polygon(body),
        b'c' => circle(body),
        b'e' => ellipse(body),
        b'b' => lon_lat_box(body),
        b'u' => Ok(Shape::Union(operands("UnionRegion", body, depth, operands_of_union)?)),
        b'i' => Ok(Shape::Intersection(operands(
            "IntersectionRegion",
            body,
            depth,
            operands_of_intersection,
        )?)),
        other => Err(RegionError::UnknownType(*other)),
    }
}

fn polygon(body: &[u8]) -> Result<Shape, RegionError> {
    let (vertices, rest) = body.as_chunks::<VERTEX>();
    if vertices.len() < 3 || !rest.is_empty() {
        return Err(length_error("ConvexPolygon", body));
    }
    let vertices =
        vertices.iter().map(|vertex| point("ConvexPolygon", all_numbers("ConvexPolygon", vertex)?));
    Ok(Shape::ConvexPolygon(ConvexPolygon::new(vertices.collect::<Result<_, _>>()?)))
}

fn circle(body: &[u8]) -> Result<Shape, RegionError> {
    let [x, y, z, squared_chord, radius] = all_numbers("Circle", body)?;
    let centre = point("Circle", [x, y, z])?;
    Ok(Shape::Circle(Circle { centre, squared_chord }, radius))
}

fn ellipse(body: &[u8]) -> Result<Shape, RegionError> {
    let [m0, m1, m2, m3, m4, m5, m6, m7, m8, a, b, c, d, e] = all_numbers("Ellipse", body)?;
    point("Ellipse", [m6, m7, m8])?;
    let matrix = [m0, m1, m2, m3, m4, m5, m6, m7, m8];
    Ok(Shape::Ellipse(Ellipse { matrix, axes: [a, b], derived: [c, d, e] }))
}

fn lon_lat_box(body: &[u8]) -> Result<Shape, RegionError> {
    let [west, east, south, north] = all_numbers("Box", body)?;
    if west.is_infinite() || east.is_infinite() {
        return Err(RegionError::NotFinite("Box"));
    }
    let longitudes = Longitudes::new(west, east).ok_or(RegionError::Longitudes)?;
    Ok(Shape::Box(LonLatBox::new(longitudes, Latitudes::new(south, north))))
}

/// Decodes the operands of a compound which may hold so many levels of others. What `dissolve`
/// takes apart, a compound of the same kind, leaves its own operands in its place.
fn operands(
    kind: &'static str,
    body: &[u8],
    depth: usize,
    dissolve: impl Fn(Shape) -> Result<Vec<Shape>, Shape>,
) -> Result<Vec<Shape>, RegionError> {
    let mut operands = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let truncated = || RegionError::Truncated(kind);
        let (length, after) = rest.split_first_chunk().ok_or_else(truncated)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| truncated())?;
        let (operand, after) = after.split_at_checked(length).ok_or_else(truncated)?;
        let depth = depth.checked_sub(1).ok_or(RegionError::Depth)?;
        match dissolve(nested(operand, depth)?) {
            Ok(inner) => operands.extend(inner),
            Err(other) => operands.push(other),
        }
        rest = after;
    }
    Ok(operands)
}

fn operands_of_union(shape: Shape) -> Result<Vec<Shape>, Shape> {
    match shape {
        Shape::Union(operands) => Ok(operands),
        other => Err(other),
    }
}

fn operands_of_intersection(shape: Shape) -> Result<Vec<Shape>, Shape> {
    match shape {
        Shape::Intersection(operands) => Ok(operands),
        other => Err(other),
    }
}

fn point(kind: &'static str, [x, y, z]: [f64; 3]) -> Result<Vector, RegionError> {
    let point = Vector::new(x, y, z);
    if point.is_finite() { Ok(point) } else { Err(RegionError::NotFinite(kind)) }
}

/// The numbers of a body that must have just so many.
fn all_numbers<const N: usize>(kind: &'static str, body: &[u8]) -> Result<[f64; N], RegionError> {
    let (chunks, rest) = body.as_chunks::<8>();
    match <[[u8; 8]; N]>::try_from(chunks) {
        Ok(numbers) if rest.is_empty() => Ok(numbers.map(f64::from_le_bytes)),
        _ => Err(length_error(kind, body)),
    }
}

fn length_error(kind: &'static str, body: &[u8]) -> RegionError {
    RegionError::Length { kind, length: body.len() + 1 }
}
