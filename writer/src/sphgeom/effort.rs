//! A bound on what envelopes may cost: a made-up region must not hold up the stream.

use super::RegionError;

/// Steps that may be taken: a fraction of a second. A detector's region takes a few thousand; half
/// the sky, with a hundred vertices, less than two thirds of the limit.
const LIMIT: u64 = 1 << 26;

/// Steps that a calculation has taken. A step is a handful of floating-point operations.
#[derive(Debug, Default)]
pub struct Effort {
    steps: u64,
}

impl Effort {
    /// Counts steps.
    pub fn add(&mut self, steps: u64) {
        self.steps = self.steps.saturating_add(steps);
    }

    /// The steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether so many more steps are within the limit.
    #[must_use]
    pub fn allows(&self, steps: u64) -> bool {
        self.steps.saturating_add(steps) <= LIMIT
    }

    /// Checks that it may go on.
    ///
    /// # Errors
    /// If the limit is reached.
    pub fn check(&self) -> Result<(), RegionError> {
        if self.steps > LIMIT { Err(RegionError::Effort) } else { Ok(()) }
    }
}
