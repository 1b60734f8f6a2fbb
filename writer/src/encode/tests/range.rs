//! Ranges and multiranges.

use tokio_postgres::types::Type;

use super::{encode, sqlstate};

/// Flags, and the values of the bounds.
fn range(of: &Type, literal: &str) -> (u8, Vec<Vec<u8>>) {
    let json = serde_json::to_string(literal).unwrap();
    parts(&encode(of, &json).unwrap_or_else(|error| panic!("{literal}: {error}")).unwrap())
}

fn parts(range: &[u8]) -> (u8, Vec<Vec<u8>>) {
    let (flags, mut rest) = range.split_first().unwrap();
    let mut bounds = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (bound, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        bounds.push(bound.to_vec());
        rest = after;
    }
    (*flags, bounds)
}

#[test]
fn bounds_are_as_written() {
    let int8 = |numbers: &[i64]| -> Vec<Vec<u8>> {
        numbers.iter().map(|number| number.to_be_bytes().to_vec()).collect()
    };
    for (literal, flags, bounds) in [
        ("[1,5)", 0x02, vec![1, 5]),
        (" (0, 4] ", 0x04, vec![0, 4]),
        ("(,5)", 0x08, vec![5]),
        ("[5,]", 0x02 | 0x10, vec![5]),
        ("[,]", 0x18, vec![]),
        ("empty", 0x01, vec![]),
        (" EMPTY ", 0x01, vec![]),
        ("(5,5]", 0x04, vec![5, 5]),
        ("(9223372036854775807,9223372036854775807]", 0x04, vec![i64::MAX, i64::MAX]),
        (r#"["1","\5")"#, 0x02, vec![1, 5]),
    ] {
        assert_eq!(range(&Type::INT8_RANGE, literal), (flags, int8(&bounds)), "{literal}");
    }
    let (_, bounds) = range(&Type::INT4_RANGE, "[-1,2)");
    assert_eq!(bounds, [vec![255; 4], vec![0, 0, 0, 2]]);
    let (_, bounds) =
        range(&Type::TSTZ_RANGE, r#"["2000-01-01 00:00:01+00",2000-01-01T00:00:02Z]"#);
    assert_eq!(bounds, int8(&[1_000_000, 2_000_000]));
    let (flags, _) = range(&Type::DATE_RANGE, "(5874897-12-30,infinity]");
    assert_eq!(flags, 0x04);
    let (_, bounds) = range(&Type::NUM_RANGE, "[-1.5,NaN]");
    assert_eq!((bounds[0].len(), bounds[1].len()), (12, 8));
}

#[test]
fn what_the_server_would_refuse() {
    for (of, literal, expected) in [
        (Type::INT8_RANGE, "[5,4]", "22000"),
        (Type::NUM_RANGE, "[1.10,1.09]", "22000"),
        (Type::TS_RANGE, "[2024-01-02,2024-01-01]", "22000"),
        (Type::INT8_RANGE, "[1,9223372036854775807]", "22003"),
        (Type::INT8_RANGE, "(9223372036854775807,)", "22003"),
        (Type::INT4_RANGE, "[1,2147483647]", "22003"),
        (Type::DATE_RANGE, "[2024-01-01,5874897-12-31]", "22008"),
        (Type::INT8_RANGE, "[1,9223372036854775808)", "22003"),
        (Type::INT8_RANGE, "[1;5)", "22P02"),
        (Type::INT8_RANGE, "1,5", "22P02"),
        (Type::INT8_RANGE, "[1,5", "22P02"),
        (Type::INT8_RANGE, "[1,5,6)", "22P02"),
        (Type::INT8_RANGE, "[1)", "22P02"),
        (Type::INT8_RANGE, "[1,5)x", "22P02"),
        (Type::INT8_RANGE, "[", "22P02"),
        (Type::INT8_RANGE, "", "22P02"),
        (Type::INT8_RANGE, "[a,5)", "22P02"),
        (Type::INT8_RANGE, r#"["",5)"#, "22P02"),
        (Type::INT8_RANGE, r#"["1,5)"#, "22P02"),
        (Type::INT8_RANGE, "empty x", "22P02"),
        (Type::TSTZ_RANGE, "[2024-01-01,)", "22007"),
    ] {
        let json = serde_json::to_string(literal).unwrap();
        assert_eq!(sqlstate(&of, &json), expected, "{literal}");
    }
    assert_eq!(sqlstate(&Type::INT8_RANGE, "[1,5]"), "22P02");
}

#[test]
fn multiranges_have_their_ranges() {
    let of = &Type::INT4MULTI_RANGE;
    let multirange = |literal: &str| encode(of, &format!("\"{literal}\"")).unwrap().unwrap();
    for literal in ["{}", " { } "] {
        assert_eq!(multirange(literal), [0; 4], "{literal}");
    }
    let field = multirange(" { [1,3) , empty,(,0)} ");
    assert_eq!(field[..8], [0, 0, 0, 3, 0, 0, 0, 17]);
    assert_eq!(parts(&field[8..25]), (0x02, vec![vec![0, 0, 0, 1], vec![0, 0, 0, 3]]));
    assert_eq!(field[25..30], [0, 0, 0, 1, 1]);
    assert_eq!(parts(&field[34..]), (0x08, vec![vec![0; 4]]));
    for literal in ["", "{", "[1,2)", "{[1,2)", "{[1,2),}", "{,}", "{[1,2)}x", "{[1,2)[3,4)}"] {
        assert_eq!(sqlstate(of, &format!("\"{literal}\"")), "22P02", "{literal}");
    }
    assert_eq!(sqlstate(of, "\"{[1,2),[4,3)}\""), "22000");
}
