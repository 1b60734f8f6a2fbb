//! Trixels: the spherical triangles that the Hierarchical Triangular Mesh divides the sky into.

use super::vector::Vector;

/// A triangle of the mesh.
#[derive(Debug, Clone, Copy)]
pub struct Trixel {
    /// Its index: four bits for the root, two more for each level.
    pub index: u64,
    /// Its vertices, counter-clockwise.
    pub vertices: [Vector; 3],
}

impl Trixel {
    /// The octants, which are level 0, in order of their indexes.
    pub fn roots() -> [Self; 8] {
        const X: Vector = Vector::new(1.0, 0.0, 0.0);
        const Y: Vector = Vector::new(0.0, 1.0, 0.0);
        const Z: Vector = Vector::new(0.0, 0.0, 1.0);
        [
            Self { index: 8, vertices: [X, -Z, Y] },
            Self { index: 9, vertices: [Y, -Z, -X] },
            Self { index: 10, vertices: [-X, -Z, -Y] },
            Self { index: 11, vertices: [-Y, -Z, X] },
            Self { index: 12, vertices: [X, Z, -Y] },
            Self { index: 13, vertices: [-Y, Z, -X] },
            Self { index: 14, vertices: [-X, Z, Y] },
            Self { index: 15, vertices: [Y, Z, X] },
        ]
    }

    /// The four triangles of the next level, in order of their indexes.
    pub fn children(&self) -> [Self; 4] {
        let [v0, v1, v2] = self.vertices;
        let (m0, m1, m2) = (v1.midpoint(v2), v2.midpoint(v0), v0.midpoint(v1));
        let index = self.index << 2;
        [
            Self { index, vertices: [v0, m2, m1] },
            Self { index: index + 1, vertices: [v1, m0, m2] },
            Self { index: index + 2, vertices: [v2, m1, m0] },
            Self { index: index + 3, vertices: [m0, m1, m2] },
        ]
    }

    /// The edges, from the one that ends at the first vertex.
    pub fn edges(&self) -> [(Vector, Vector); 3] {
        let [v0, v1, v2] = self.vertices;
        [(v2, v0), (v0, v1), (v1, v2)]
    }
}

/// How a trixel lies to a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They have no point in common.
    Disjoint,
    /// They may have points in common.
    Intersects,
    /// All of the trixel is in the region.
    Within,
}
