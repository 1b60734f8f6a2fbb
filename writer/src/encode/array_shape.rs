//! The shape of an array, as it becomes known while its elements are written.

/// PostgreSQL's most dimensions.
pub const MOST_DIMENSIONS: usize = 6;

/// One dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimension {
    /// How many elements it has.
    pub length: u32,
    /// The index of the first.
    pub first: i32,
}

/// Counts what stands in each dimension, which must be as much wherever the dimension is opened.
/// Its functions give none if the array is not of equal rows.
#[derive(Debug)]
pub struct Shape {
    /// Dimensions in all.
    levels: usize,
    /// Dimensions that are open.
    depth: usize,
    counts: [u32; MOST_DIMENSIONS],
    /// Known of those that were closed once.
    lengths: [Option<u32>; MOST_DIMENSIONS],
    dimensions: [Dimension; MOST_DIMENSIONS],
}

impl Shape {
    /// An array of so many dimensions, at most [`MOST_DIMENSIONS`].
    pub fn new(levels: usize) -> Self {
        Self {
            levels: levels.min(MOST_DIMENSIONS),
            depth: 0,
            counts: [0; MOST_DIMENSIONS],
            lengths: [None; MOST_DIMENSIONS],
            dimensions: [Dimension { length: 0, first: 1 }; MOST_DIMENSIONS],
        }
    }

    /// The next dimension begins.
    pub fn open(&mut self) -> Option<()> {
        if self.depth == self.levels {
            return None;
        }
        self.counts[self.depth] = 0;
        self.depth += 1;
        Some(())
    }

    /// An element of the last dimension.
    pub fn count_element(&mut self) -> Option<()> {
        if self.depth == 0 || self.depth != self.levels {
            return None;
        }
        self.counts[self.depth - 1] = self.counts[self.depth - 1].checked_add(1)?;
        Some(())
    }

    /// The dimension ends. Only an array of one dimension can be empty.
    pub fn close(&mut self) -> Option<()> {
        let level = self.depth.checked_sub(1)?;
        let count = self.counts[level];
        if count == 0 && self.levels > 1 {
            return None;
        }
        if *self.lengths[level].get_or_insert(count) != count {
            return None;
        }
        self.dimensions[level].length = count;
        self.depth = level;
        if level > 0 {
            self.counts[level - 1] += 1;
        }
        Some(())
    }

    /// Takes the first index of each dimension from explicit bounds, which must fit.
    pub fn set_bounds(&mut self, bounds: &[(i32, i32)]) -> Option<()> {
        if bounds.is_empty() {
            return Some(());
        }
        if bounds.len() != self.dimensions().len() {
            return None;
        }
        for (dimension, (first, last)) in self.dimensions.iter_mut().zip(bounds) {
            if i64::from(*last) - i64::from(*first) + 1 != i64::from(dimension.length) {
                return None;
            }
            dimension.first = *first;
        }
        Some(())
    }

    /// Whether an index behind the last one would be no integer any more.
    pub fn has_too_large_index(&self) -> bool {
        let end = |one: &Dimension| i64::from(one.first) + i64::from(one.length);
        self.dimensions().iter().any(|one| end(one) > i64::from(i32::MAX))
    }

    /// The dimensions; none if the array is empty.
    pub fn dimensions(&self) -> &[Dimension] {
        let is_empty = self.dimensions[..self.levels].iter().any(|one| one.length == 0);
        if is_empty { &[] } else { &self.dimensions[..self.levels] }
    }
}
