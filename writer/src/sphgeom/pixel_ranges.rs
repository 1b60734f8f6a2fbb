//! Sets of pixels, as ranges of their indexes.

use std::ops::Range;

/// A set of pixels: half-open ranges in ascending order, with gaps between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PixelRanges {
    ranges: Vec<Range<u64>>,
}

impl PixelRanges {
    /// The ranges, which neither touch nor overlap.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// The pixels, in ascending order.
    pub fn pixels(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().cloned().flatten()
    }

    /// The number of pixels.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there is no pixel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Adds a range that begins no earlier than the last one.
    pub(super) fn push(&mut self, range: Range<u64>) {
        match self.ranges.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.ranges.push(range),
        }
    }

    /// All pixels that any of these sets has.
    pub(super) fn union(sets: Vec<Self>) -> Self {
        let mut all: Vec<_> = sets.into_iter().flat_map(|set| set.ranges).collect();
        all.sort_unstable_by_key(|range| range.start);
        let mut union = Self::default();
        all.into_iter().for_each(|range| union.push(range));
        union
    }

    /// The pixels that are also in another set.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut intersection = Self::default();
        let (mut ours, mut theirs) =
            (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            let (start, end) = (a.start.max(b.start), a.end.min(b.end));
            if start < end {
                intersection.push(start..end);
            }
            if a.end <= b.end {
                ours.next()
            } else {
                theirs.next()
            };
        }
        intersection
    }
}

impl From<Range<u64>> for PixelRanges {
    fn from(range: Range<u64>) -> Self {
        Self { ranges: if range.is_empty() { Vec::new() } else { vec![range] } }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::PixelRanges;

    fn set(pixels: &BTreeSet<u64>) -> PixelRanges {
        let mut set = PixelRanges::default();
        pixels.iter().for_each(|&pixel| set.push(pixel..pixel + 1));
        set
    }

    fn pixels() -> impl Strategy<Value = BTreeSet<u64>> {
        prop::collection::btree_set(0..60u64, 0..40)
    }

    proptest! {
        #[test]
        fn are_sets(a in pixels(), b in pixels()) {
            let union = PixelRanges::union(vec![set(&a), set(&b)]);
            prop_assert_eq!(&union, &set(&(&a | &b)));
            prop_assert_eq!(set(&a).intersection(&set(&b)), set(&(&a & &b)));
            prop_assert!(union.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert_eq!(union.pixels().count() as u64, union.len());
            prop_assert_eq!(union.is_empty(), a.is_empty() && b.is_empty());
        }
    }
}
