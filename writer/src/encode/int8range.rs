//! `int8range`, of bounds that are numbers already.

use super::field;

/// A range of bigint in its canonical form: `[lower, upper)`, either bound may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Int8range {
    /// Holds nothing.
    Empty,
    /// From `lower` to just below `upper`.
    Bounds {
        /// The least number; none is −∞.
        lower: Option<i64>,
        /// The number after the last; none is ∞.
        upper: Option<i64>,
    },
}

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

impl Int8range {
    /// Appends the range as a field.
    pub fn encode(self, out: &mut Vec<u8>) {
        let Self::Bounds { lower, upper } = self else {
            field::fixed(&[EMPTY], out);
            return;
        };
        let lower_flag = if lower.is_some() { LOWER_INCLUSIVE } else { LOWER_INFINITE };
        let upper_flag = if upper.is_some() { 0 } else { UPPER_INFINITE };
        let bounds = usize::from(lower.is_some()) + usize::from(upper.is_some());
        out.extend_from_slice(&(1 + 12 * bounds as u32).to_be_bytes());
        out.push(lower_flag | upper_flag);
        for bound in [lower, upper].into_iter().flatten() {
            field::fixed(&bound.to_be_bytes(), out);
        }
    }
}
