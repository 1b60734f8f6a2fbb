//! Numbers beyond integers and floats, and bits.

use std::cmp::Ordering;

use proptest::prelude::*;
use tokio_postgres::types::Type;

use super::{encode, read, sqlstate};
use crate::encode::numeric;

/// Number of groups, weight, sign, scale and groups of a number.
fn numeric_of(literal: &str) -> (Vec<i16>, i16, u16, u16) {
    let field = encode(&Type::NUMERIC, &format!("\"{literal}\"")).unwrap().unwrap();
    let words: Vec<_> = field.chunks(2).map(|two| i16::from_be_bytes([two[0], two[1]])).collect();
    assert_eq!(words[0].cast_unsigned() as usize, words.len() - 4, "{literal}");
    (words[4..].to_vec(), words[1], words[2].cast_unsigned(), words[3].cast_unsigned())
}

/// The figures are PostgreSQL 15's, from `numeric_send`.
#[test]
fn numbers_of_any_size() {
    for (literal, groups, weight, sign, scale) in [
        ("0", vec![], 0, 0, 0),
        ("-0.000", vec![], 0, 0, 3),
        ("1", vec![1], 0, 0, 0),
        ("-1.10", vec![1, 1000], 0, 0x4000, 2),
        (" +12345678.9 ", vec![1234, 5678, 9000], 1, 0, 1),
        ("10000", vec![1], 1, 0, 0),
        ("00010000.0000", vec![1], 1, 0, 4),
        (".00001", vec![1000], -2, 0, 5),
        ("5.", vec![5], 0, 0, 0),
        ("1e4", vec![1], 1, 0, 0),
        ("1.5E-3", vec![15], -1, 0, 4),
        ("12e-1", vec![1, 2000], 0, 0, 1),
        ("1e131071", vec![1000], 32767, 0, 0),
        ("1e-16383", vec![10], -4096, 0, 16383),
        ("0e-16383", vec![], 0, 0, 16383),
        ("0e999999", vec![], 0, 0, 0),
        ("NaN", vec![], 0, 0xc000, 0),
        ("Infinity", vec![], 0, 0xd000, 0),
        ("+inf", vec![], 0, 0xd000, 0),
        ("-infinity", vec![], 0, 0xf000, 0),
    ] {
        assert_eq!(numeric_of(literal), (groups, weight, sign, scale), "{literal}");
    }
}

#[test]
fn absurd_numbers_are_refused_without_work() {
    for literal in [
        "1e131072",
        "-10e131071",
        "1e-16384",
        "0e-16384",
        "1e1000000000",
        "1e1073741823",
        "0e1073741823",
        "1e-1073741823",
        "1e99999999999999999999",
        "1e-99999999999999999999",
    ] {
        assert_eq!(sqlstate(&Type::NUMERIC, &format!("\"{literal}\"")), "22003", "{literal}");
    }
    for literal in ["", ".", "-", "1e", "1e+", "1.2.3", "1,5", "0x1f", "-nan", "1 2", "--1", "e5"] {
        assert_eq!(sqlstate(&Type::NUMERIC, &format!("\"{literal}\"")), "22P02", "{literal}");
    }
    assert_eq!(sqlstate(&Type::NUMERIC, "true"), "22P02");
    let most = format!("{}.{}", "9".repeat(131_072), "9".repeat(16_383));
    assert_eq!(encode(&Type::NUMERIC, &most).unwrap().unwrap().len(), 8 + 2 * (32_768 + 4_096));
    assert_eq!(sqlstate(&Type::NUMERIC, &format!("1{most}")), "22003");
}

#[test]
fn numbers_have_an_order() {
    let sorted = [
        "-inf",
        "-1e20",
        "-10001",
        "-10000.5",
        "-10000",
        "-0.1",
        "0",
        "0.00001",
        "0.1",
        "1",
        "1.5",
        "9999",
        "10000",
        "123456789",
        "1e20",
        "inf",
        "nan",
    ];
    let encoded =
        |literal: &str| encode(&Type::NUMERIC, &format!("\"{literal}\"")).unwrap().unwrap();
    for (index, one) in sorted.iter().enumerate() {
        for (other_index, other) in sorted.iter().enumerate() {
            let order = numeric::compare(&encoded(one), &encoded(other));
            assert_eq!(order, index.cmp(&other_index), "{one} {other}");
        }
    }
    assert_eq!(numeric::compare(&encoded("1.0"), &encoded("1.000")), Ordering::Equal);
}

#[test]
fn object_identifiers() {
    assert_eq!(read::<u32>(&Type::OID, "4294967295"), u32::MAX);
    assert_eq!(read::<u32>(&Type::OID, "\" -1 \""), u32::MAX);
    assert_eq!(sqlstate(&Type::OID, "4294967296"), "22003");
    assert_eq!(sqlstate(&Type::OID, "-2147483649"), "22003");
    assert_eq!(sqlstate(&Type::OID, "1.5"), "22P02");
}

#[test]
fn bits_and_single_bytes() {
    for (literal, length, bytes) in [
        ("", 0, vec![]),
        ("1", 1, vec![0x80]),
        ("101010101", 9, vec![0xaa, 0x80]),
        ("b0011", 4, vec![0x30]),
        ("X1f7", 12, vec![0x1f, 0x70]),
        ("xFF", 8, vec![0xff]),
    ] {
        let expected = [&u32::to_be_bytes(length)[..], &bytes].concat();
        let field = encode(&Type::VARBIT, &format!("\"{literal}\"")).unwrap().unwrap();
        assert_eq!(field, expected, "{literal}");
    }
    assert_eq!(encode(&Type::BIT, "101").unwrap().unwrap(), [0, 0, 0, 3, 0xa0]);
    for literal in ["2", "b2", "xg", "1 0", "-1"] {
        assert_eq!(sqlstate(&Type::BIT, &format!("\"{literal}\"")), "22P02", "{literal}");
    }
    assert_eq!(encode(&Type::CHAR, "\"abc\"").unwrap().unwrap(), b"a");
    assert_eq!(encode(&Type::CHAR, "\"\"").unwrap().unwrap(), [0]);
    assert_eq!(encode(&Type::CHAR, "7").unwrap().unwrap(), b"7");
    assert_eq!(sqlstate(&Type::CHAR, "\"é\""), "22P02");
}

proptest! {
    #[test]
    fn every_integer_is_a_number(value: i64) {
        let (groups, weight, sign, scale) = numeric_of(&value.to_string());
        let places = (0..).map(|place| 10_000i128.pow((i32::from(weight) - place).max(0).cast_unsigned()));
        let sum: i128 = groups.iter().zip(places).map(|(group, place)| i128::from(*group) * place).sum();
        let sign_of = if sign == 0x4000 { -1 } else { 1 };
        prop_assert_eq!((sum * sign_of, scale), (i128::from(value), 0));
    }
}
