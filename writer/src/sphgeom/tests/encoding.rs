//! Bytes that are regions, and bytes that are not.

use std::f64::consts::{FRAC_PI_2, TAU};

use proptest::prelude::*;

use crate::rejection::Rejection;
use crate::sphgeom::{Region, RegionError};

/// A compound of these operands.
pub fn compound(kind: u8, operands: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![kind];
    for operand in operands {
        bytes.extend_from_slice(&(operand.len() as u64).to_le_bytes());
        bytes.extend_from_slice(operand);
    }
    bytes
}

/// A region of these numbers.
pub fn simple(kind: u8, numbers: &[f64]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

fn decode_error(bytes: &[u8]) -> RegionError {
    Region::decode(bytes).unwrap_err()
}

fn sqlstate(bytes: &[u8]) -> &'static str {
    Rejection::from(decode_error(bytes)).sqlstate.as_str()
}

#[test]
fn knows_the_lengths() {
    for (kind, numbers) in [(b'p', 9), (b'p', 12), (b'p', 300), (b'c', 5), (b'e', 14), (b'b', 4)] {
        let region = simple(kind, &vec![0.5; numbers]);
        assert_eq!(Region::decode(&region).unwrap().encoded(), region);
        for length in [region.len() - 1, region.len() + 1] {
            let mut region = region.clone();
            region.resize(length, 0);
            assert!(
                matches!(decode_error(&region), RegionError::Length { length: told, .. } if told == length)
            );
        }
    }
    assert_eq!(
        decode_error(&simple(b'p', &[0.0; 6])).to_string(),
        "a ConvexPolygon cannot have 49 bytes"
    );
    assert_eq!(decode_error(b"x"), RegionError::UnknownType(b'x'));
    assert_eq!(decode_error(&[]), RegionError::Empty);
    assert_eq!(sqlstate(&[]), "22P02");
}

#[test]
fn boxes_are_normalised() {
    let again = |numbers: [f64; 4]| Region::decode(&simple(b'b', &numbers)).unwrap().encoded();
    for numbers in [[0.0, 1.0, -1.0, 1.0], [6.0, 1.0, 0.0, 0.0], [-0.0, TAU, -0.0, FRAC_PI_2]] {
        assert_eq!(again(numbers), simple(b'b', &numbers));
    }
    let normalised = [TAU - 1.0, 1.0, -FRAC_PI_2, FRAC_PI_2];
    assert_eq!(again([-1.0, 1.0, -5.0, f64::INFINITY]), simple(b'b', &normalised));
    let nan = f64::from_bits(0x7ff8_0000_0000_0000);
    assert_eq!(again([0.0, 1.0, 2.0, 1.0]), simple(b'b', &[nan, nan, 2.0, 1.0]));
    assert_eq!(again([-nan, 1.0, 0.0, 1.0]), simple(b'b', &[nan, nan, 1.0, 0.0]));
    assert_eq!(decode_error(&simple(b'b', &[1.0, -1.0, 0.0, 1.0])), RegionError::Longitudes);
    assert_eq!(
        decode_error(&simple(b'b', &[1.0, f64::INFINITY, 0.0, 1.0])),
        RegionError::NotFinite("Box")
    );
}

#[test]
fn points_are_finite_and_other_numbers_need_not_be() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (kind, numbers, points) in [(b'p', 9, 0..9), (b'c', 5, 0..3), (b'e', 14, 6..9)] {
            for index in 0..numbers {
                let mut numbers = vec![0.5; numbers];
                numbers[index] = number;
                let region = simple(kind, &numbers);
                let decoded = Region::decode(&region);
                if points.contains(&index) {
                    assert!(matches!(decoded, Err(RegionError::NotFinite(_))));
                } else {
                    let decoded = decoded.unwrap();
                    assert_eq!(decoded.encoded(), region);
                    decoded.envelope(3).unwrap();
                }
            }
        }
    }
}

#[test]
fn looks_into_compounds() {
    let circle = simple(b'c', &[0.0; 5]);
    let inner = compound(b'i', &[circle.clone(), circle.clone()]);
    assert!(Region::decode(&compound(b'u', &[circle.clone(), inner])).is_ok());
    assert!(Region::decode(b"u").is_ok());
    assert!(matches!(
        decode_error(&compound(b'u', &[simple(b'c', &[0.0; 4])])),
        RegionError::Length { kind: "Circle", length: 33 }
    ));
    assert_eq!(decode_error(&compound(b'i', &[vec![]])), RegionError::Empty);
    let mut cut = compound(b'u', &[circle]);
    cut.pop();
    assert_eq!(decode_error(&cut), RegionError::Truncated("UnionRegion"));
    assert_eq!(decode_error(b"i1234567"), RegionError::Truncated("IntersectionRegion"));
    let mut huge = vec![b'u'];
    huge.extend_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(decode_error(&huge), RegionError::Truncated("UnionRegion"));
}

#[test]
fn dissolves_compounds_in_their_own_kind() {
    let circle = |radius| simple(b'c', &[1.0, 0.0, 0.0, 0.5, radius]);
    let union = compound(
        b'u',
        &[
            circle(1.0),
            compound(b'u', &[compound(b'u', &[circle(2.0), b"u".to_vec()]), b"i".to_vec()]),
            compound(b'i', &[compound(b'u', &[circle(3.0)]), compound(b'i', &[circle(4.0)])]),
        ],
    );
    let flat = compound(
        b'u',
        &[
            circle(1.0),
            circle(2.0),
            b"i".to_vec(),
            compound(b'i', &[compound(b'u', &[circle(3.0)]), circle(4.0)]),
        ],
    );
    assert_eq!(Region::decode(&union).unwrap().encoded(), flat);
}

#[test]
fn is_not_nested_without_end() {
    let nested = |depth| {
        let mut region = b"i".to_vec();
        for level in 0..depth {
            region = compound(if level % 2 == 0 { b'u' } else { b'i' }, &[region]);
        }
        region
    };
    let deepest = Region::decode(&nested(64)).unwrap();
    assert_eq!(deepest.encoded(), nested(64));
    assert_eq!(deepest.envelope(7).unwrap().len(), 131_072);
    assert_eq!(decode_error(&nested(65)), RegionError::Depth);
    assert_eq!(sqlstate(&nested(10_000)), "54000");
}

#[test]
fn digits_are_of_either_case_with_blanks_between_bytes() {
    let region = Region::decode_hex("69 0100000000000000 75 0100000000000000\n69").unwrap();
    assert_eq!(region.encoded_base64(), "aQEAAAAAAAAAdQ==");
    let polygon = format!("70{}", "3FE0000000000000".repeat(9));
    assert_eq!(Region::decode_hex(&polygon), Region::decode_hex(&polygon.to_lowercase()));
    for digits in ["", "7", "7 5", "zz"] {
        assert!(Region::decode_hex(digits).is_err(), "{digits:?}");
    }
}

/// Bytes that look like regions.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![any::<f64>(), Just(0.0), Just(-1.0), Just(1.0), Just(5e-324)];
    let kind = prop_oneof![Just(b'p'), Just(b'c'), Just(b'e'), Just(b'b'), any::<u8>()];
    let length = prop_oneof![Just(9_usize), Just(12), Just(5), Just(14), Just(4), 0..20_usize];
    let numbers = length.prop_flat_map(move |length| prop::collection::vec(number.clone(), length));
    let region = (kind, numbers).prop_map(|(kind, numbers)| simple(kind, &numbers));
    let leaf = prop_oneof![region, prop::collection::vec(any::<u8>(), 0..50)];
    leaf.prop_recursive(4, 30, 4, |inner| {
        (prop_oneof![Just(b'u'), Just(b'i')], prop::collection::vec(inner, 0..4))
            .prop_map(|(kind, operands)| compound(kind, &operands))
    })
}

proptest! {
    #[test]
    fn no_bytes_are_too_much(bytes in bytes()) {
        if let Ok(region) = Region::decode(&bytes) {
            let again = Region::decode(&region.encoded()).unwrap();
            prop_assert_eq!(again.encoded(), region.encoded());
            prop_assert!(region.encoded().len() <= bytes.len());
            let envelope = region.envelope(3).unwrap();
            prop_assert!(envelope.pixels().all(|pixel| (512..1024).contains(&pixel)));
        }
    }
}
