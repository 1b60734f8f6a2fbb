//! Regions of the sky, as Rubin's library `sphgeom` encodes them, and the pixels that cover them.
//!
//! A Butler registry keeps each region as text, and beside it the pixels of the Hierarchical
//! Triangular Mesh (HTM) that may overlap it. Clients that wrote and clients that look both rely
//! on the very same set of pixels, so everything here gives the library's own answers, bit by bit:
//!
//! - [`Region`] is decoded from the library's bytes, whose layouts are in `decode`, and encoded
//!   again as the library would;
//! - `envelope` walks down the `trixel`s, and leaves out those that are disjoint from a
//!   `polygon`, a `circle` or a `lon_lat_box` of `longitudes` and `latitudes`; an `ellipse` is its
//!   bounding circle;
//! - `orientation` is the one question that polygons ask, and `exact` answers it where
//!   floating point can't;
//! - [`PixelRanges`] is the answer, [`Effort`] bounds what it may cost.
//!
//! Arithmetic is plain IEEE double, in the library's order of operations and without fused
//! multiplication, as in its builds for x86-64. All but polygons also take sines and arctangents
//! from the system's C library, as it does. (What the library itself finds for an ellipse depends
//! on memory that it has freed, if it does not crash; the bounding circle is what it means.)

mod circle;
mod decode;
mod effort;
mod ellipse;
mod encode;
mod envelope;
mod error;
mod exact;
mod latitudes;
mod lon_lat_box;
mod longitudes;
mod orientation;
mod pixel_ranges;
mod polygon;
mod region;
mod trixel;
mod vector;

pub use effort::Effort;
pub use envelope::MAX_LEVEL;
pub use error::RegionError;
pub use pixel_ranges::PixelRanges;
pub use region::Region;

#[cfg(test)]
mod tests;
