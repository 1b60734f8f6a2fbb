//! Regions of all kinds and sizes, with the pixels that the library finds for them.

use std::ops::Range;

use crate::sphgeom::Region;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/butler/htm_vectors.tsv"));

#[test]
fn envelopes_are_the_librarys() {
    for (number, line) in (1..).zip(VECTORS.lines()) {
        let [digits, level, ranges] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("line {number} has not three columns")
        };
        let region = Region::decode_hex(digits).unwrap();
        let found = region.envelope(level.parse().unwrap()).unwrap();
        let expected: Vec<_> =
            ranges.split(',').filter(|range| !range.is_empty()).map(range).collect();
        assert_eq!(found.ranges(), expected, "line {number}: {digits}");
    }
}

fn range(text: &str) -> Range<u64> {
    let (start, end) = text.split_once('-').unwrap();
    start.parse().unwrap()..end.parse().unwrap()
}
