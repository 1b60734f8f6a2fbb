//! Convex polygons, and how trixels lie to them.

use std::cmp::Ordering;

use super::effort::Effort;
use super::orientation::orientation;
use super::trixel::{Relation, Trixel};
use super::vector::Vector;

/// A convex polygon: three or more vertices, counter-clockwise, joined by great circles. That they
/// are convex is the client's word; nothing goes wrong if they are not.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvexPolygon {
    vertices: Vec<Vector>,
}

impl ConvexPolygon {
    /// A polygon of these vertices.
    pub fn new(vertices: Vec<Vector>) -> Self {
        Self { vertices }
    }

    /// The vertices.
    pub fn vertices(&self) -> &[Vector] {
        &self.vertices
    }

    /// How a trixel lies to it.
    pub fn relate(&self, trixel: &Trixel, effort: &mut Effort) -> Relation {
        let inside = trixel.vertices.map(|vertex| is_inside(vertex, self.edges(), effort));
        if inside == [true; 3] {
            return Relation::Within;
        }
        let intersects = inside.contains(&true)
            || self.vertices.iter().any(|&vertex| contains(trixel, vertex, effort))
            || trixel.edges().into_iter().any(|edge| self.crosses(edge, effort));
        if intersects { Relation::Intersects } else { Relation::Disjoint }
    }

    /// Whether one of its edges crosses another edge, both in their interiors.
    fn crosses(&self, (a, b): (Vector, Vector), effort: &mut Effort) -> bool {
        self.edges().any(|(c, d)| {
            let side = orientation(a, c, d, effort);
            side != Ordering::Equal
                && orientation(b, d, c, effort) == side
                && orientation(c, b, a, effort) == side
                && orientation(d, a, b, effort) == side
        })
    }

    /// The edges, from the one that ends at the first vertex.
    fn edges(&self) -> impl Iterator<Item = (Vector, Vector)> {
        let before = self.vertices.last().into_iter().chain(&self.vertices);
        before.copied().zip(self.vertices.iter().copied())
    }
}

/// Whether a point lies in a trixel or on its boundary.
pub fn contains(trixel: &Trixel, point: Vector, effort: &mut Effort) -> bool {
    is_inside(point, trixel.edges().into_iter(), effort)
}

/// Whether a point is to the right of none of these edges.
fn is_inside(
    point: Vector,
    mut edges: impl Iterator<Item = (Vector, Vector)>,
    effort: &mut Effort,
) -> bool {
    edges.all(|(from, to)| orientation(point, from, to, effort) != Ordering::Less)
}
