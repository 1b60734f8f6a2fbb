//! Why a region is refused.

use crate::rejection::{Rejection, SqlState};

use super::decode::MAX_DEPTH;
use super::envelope::MAX_LEVEL;

/// Why bytes are no region, or one whose pixels can't be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// The text is no hexadecimal digits.
    #[error("{0}")]
    Digits(Rejection),
    /// There are no bytes.
    #[error("a region is empty")]
    Empty,
    /// The first byte stands for no kind of region.
    #[error("a region has the unknown type {0}")]
    UnknownType(u8),
    /// The kind of region has another length.
    #[error("a {kind} cannot have {length} bytes")]
    Length {
        /// The kind of region, as the library calls it.
        kind: &'static str,
        /// The number of bytes.
        length: usize,
    },
    /// An operand, or its length, is longer than what is left of the compound.
    #[error("a {0} ends within an operand")]
    Truncated(&'static str),
    /// A vertex or a centre is infinite or not a number, or a longitude is infinite.
    #[error("a {0} has a point that is not finite")]
    NotFinite(&'static str),
    /// A box with a longitude outside 0 to 2π has them in the wrong order.
    #[error("the longitudes of a Box are neither from 0 to 2π nor in order")]
    Longitudes,
    /// Compounds within compounds, and so on.
    #[error("a region is nested more than {MAX_DEPTH} deep")]
    Depth,
    /// The mesh is not divided that far.
    #[error("pixels have levels 0 to {MAX_LEVEL}, and not {0}")]
    Level(u8),
    /// The envelope, or several together, would take too long.
    #[error("the pixels of a region would take too long to find")]
    Effort,
}

impl From<RegionError> for Rejection {
    fn from(error: RegionError) -> Self {
        let sqlstate = match error {
            RegionError::Digits(rejection) => return rejection,
            RegionError::Level(_) => SqlState::FEATURE_NOT_SUPPORTED,
            RegionError::Depth | RegionError::Effort => SqlState::PROGRAM_LIMIT_EXCEEDED,
            RegionError::Empty
            | RegionError::UnknownType(_)
            | RegionError::Length { .. }
            | RegionError::Truncated(_)
            | RegionError::NotFinite(_)
            | RegionError::Longitudes => SqlState::INVALID_TEXT_REPRESENTATION,
        };
        Self::new(sqlstate, error.to_string())
    }
}
