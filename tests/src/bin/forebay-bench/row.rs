//! The rows of a table, by number, in an order that looks random.

/// More than any table can have: numbers stay below 2³¹, whatever a scenario makes of them.
pub const MAX_ROWS: u64 = 500_000_000;

/// A row. A [table](crate::table) knows its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key follows from it.
    pub number: u64,
    /// Rows of one key have other values in other versions.
    pub version: u64,
}

impl Row {
    /// The first version of a number.
    pub fn new(number: u64) -> Self {
        Self { number, version: 0 }
    }

    /// A random number that is always the same for this place of this row.
    pub fn random(self, place: usize) -> u64 {
        mix(mix(self.number ^ self.version.rotate_left(32)) ^ place as u64)
    }
}

/// The numbers below `count`, each once, in an order that looks random and is always the same.
pub fn shuffled(count: u64) -> impl Iterator<Item = u64> {
    let bits = (64 - (count - 1).leading_zeros()).max(2).next_multiple_of(2);
    // A permutation of the next power of four: what lies above `count` is left out.
    (0..1_u64 << bits).map(move |number| shuffle(number, bits)).filter(move |n| *n < count)
}

/// A Feistel network: a permutation of the numbers of so many bits (an even number).
fn shuffle(number: u64, bits: u32) -> u64 {
    let half = bits / 2;
    let mask = (1 << half) - 1;
    let (mut left, mut right) = (number >> half, number & mask);
    for round in 0..4 {
        (left, right) = (right, left ^ (mix(right ^ (round << 60)) & mask));
    }
    left << half | right
}

/// The finisher of SplitMix64.
pub fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::shuffled;

    #[test]
    fn every_number_occurs_once_and_not_in_order() {
        for count in [1, 2, 3, 1000, 5000] {
            let numbers: Vec<_> = shuffled(count).collect();
            let distinct: BTreeSet<_> = numbers.iter().copied().collect();
            assert_eq!((distinct.len() as u64, numbers.len() as u64), (count, count));
            assert!(count < 10 || !numbers.is_sorted());
        }
    }
}
