//! Encodings against what PostgreSQL's own client library reads from them, and against figures
//! that a PostgreSQL server gave.

mod array;
mod datetime;
mod network;
mod number;
mod range;

use proptest::prelude::*;
use tokio_postgres::types::{FromSql, Type};

use super::Encoder;
use crate::json::{Json, visit_array};
use crate::rejection::Rejection;

/// The field that a JSON value becomes: none is null.
fn encode(of: &Type, json: &str) -> Result<Option<Vec<u8>>, Rejection> {
    let list = format!("[{json}]");
    let mut out = vec![0xee];
    visit_array(&list, |_, value: Json<'_>| {
        Encoder::for_type(of.oid()).unwrap().encode(value, &mut out)
    })?;
    assert_eq!(out[0], 0xee, "what stood before stays");
    let length = i32::from_be_bytes(out[1..5].try_into().unwrap());
    if length == -1 {
        assert_eq!(out.len(), 5);
        return Ok(None);
    }
    assert_eq!(out.len(), 5 + length as usize);
    Ok(Some(out.split_off(5)))
}

/// What the client library reads from the field.
fn read<T: for<'a> FromSql<'a>>(of: &Type, json: &str) -> T {
    let bytes = encode(of, json).unwrap_or_else(|error| panic!("{json}: {error}")).unwrap();
    T::from_sql(of, &bytes).unwrap()
}

fn sqlstate(of: &Type, json: &str) -> &'static str {
    encode(of, json).map_or_else(|rejection| rejection.sqlstate.as_str(), |_| "accepted")
}

#[test]
fn null_is_null_for_all() {
    for of in ALL.iter().chain(&ARRAYS) {
        assert_eq!(encode(of, "null").unwrap(), None);
    }
}

#[test]
fn booleans() {
    for json in ["true", "\"t\"", "\" YES \"", "\"on\"", "\"1\"", "1"] {
        assert!(read::<bool>(&Type::BOOL, json), "{json}");
    }
    for json in ["false", "\"fal\"", "\"n\"", "\"off\"", "0"] {
        assert!(!read::<bool>(&Type::BOOL, json), "{json}");
    }
    for json in ["2", "\"o\"", "\"\"", "\"truex\"", "[]"] {
        assert_eq!(sqlstate(&Type::BOOL, json), "22P02", "{json}");
    }
    assert_eq!(sqlstate(&Type::INT4, "true"), "22P02");
    assert_eq!(sqlstate(&Type::TEXT, "true"), "22P02");
}

#[test]
fn integers_keep_to_their_range() {
    assert_eq!(read::<i16>(&Type::INT2, "-32768"), i16::MIN);
    assert_eq!(read::<i32>(&Type::INT4, "\" 2147483647 \""), i32::MAX);
    assert_eq!(read::<i64>(&Type::INT8, "9223372036854775807"), i64::MAX);
    assert_eq!(sqlstate(&Type::INT2, "32768"), "22003");
    assert_eq!(sqlstate(&Type::INT4, "-2147483649"), "22003");
    assert_eq!(sqlstate(&Type::INT8, "9223372036854775808"), "22003");
    for json in ["1.0", "1e2", "\"abc\"", "\"\"", "{}", "\"1 2\""] {
        assert_eq!(sqlstate(&Type::INT8, json), "22P02", "{json}");
    }
}

#[test]
fn floats_come_from_their_text() {
    assert_eq!(read::<f64>(&Type::FLOAT8, "0.1"), 0.1);
    assert_eq!(read::<f64>(&Type::FLOAT8, "9007199254740993"), 9007199254740992.0);
    // By way of a double this would round twice, and up.
    assert_eq!(read::<f32>(&Type::FLOAT4, "1.000000059604644775390625"), 1.0);
    assert!(read::<f64>(&Type::FLOAT8, "\"NaN\"").is_nan());
    assert_eq!(read::<f64>(&Type::FLOAT8, "\"-Infinity\""), f64::NEG_INFINITY);
    assert_eq!(read::<f64>(&Type::FLOAT8, "-0.0").to_bits(), (-0.0f64).to_bits());
    assert_eq!(read::<f64>(&Type::FLOAT8, "0e999"), 0.0);
    for (of, json) in [
        (Type::FLOAT8, "1e309"),
        (Type::FLOAT8, "1e-400"),
        (Type::FLOAT4, "1e39"),
        (Type::FLOAT4, "1e-50"),
    ] {
        assert_eq!(sqlstate(&of, json), "22003", "{json}");
    }
    assert_eq!(sqlstate(&Type::FLOAT8, "\"1,5\""), "22P02");
}

#[test]
fn texts() {
    for of in [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME] {
        assert_eq!(read::<String>(&of, r#""a\"\u00e9\ud83d\ude00\n""#), "a\"é😀\n");
        assert_eq!(read::<String>(&of, "1.50"), "1.50");
        assert_eq!(sqlstate(&of, r#""a\u0000""#), "22021");
        assert_eq!(sqlstate(&of, r#""\ud83d""#), "22P02");
        assert_eq!(sqlstate(&of, "{}"), "22P02");
    }
    let long = format!("\"{}\"", "x".repeat(64));
    assert_eq!(sqlstate(&Type::NAME, &long), "42622");
    assert_eq!(read::<String>(&Type::VARCHAR, &long).len(), 64);
}

#[test]
fn uuids() {
    let expected: uuid::Uuid = read(&Type::UUID, "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"");
    assert_eq!(expected.as_u128(), 0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11);
    for json in
        ["\"A0EEBC999C0B4EF8BB6D6BB9BD380A11\"", "\"{a0ee-bc99-9c0b-4ef8bb6d-6bb9bd38-0a11}\""]
    {
        assert_eq!(read::<uuid::Uuid>(&Type::UUID, json), expected);
    }
    for literal in [
        "a0eebc99",
        "",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
    ] {
        assert_eq!(sqlstate(&Type::UUID, &format!("\"{literal}\"")), "22P02", "{literal}");
    }
}

#[test]
fn bytes() {
    assert_eq!(read::<Vec<u8>>(&Type::BYTEA, r#""\\x00 FFa0""#), [0, 255, 160]);
    assert_eq!(read::<Vec<u8>>(&Type::BYTEA, r#""\\x""#), [0u8; 0]);
    assert_eq!(sqlstate(&Type::BYTEA, r#""00ff""#), "22P02");
    for json in [r#""\\x0""#, r#""\\x0g""#, r#""\\x0 0""#] {
        assert_eq!(sqlstate(&Type::BYTEA, json), "22023", "{json}");
    }
}

#[test]
fn json_passes_as_it_is() {
    for json in [r#"{"a": [1, 2.50,  "\u0000"], "a": null}"#, "\"text\"", "1e99999", "[ ]"] {
        assert_eq!(encode(&Type::JSON, json).unwrap().unwrap(), json.as_bytes());
    }
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for of in [Type::JSON, Type::JSONB] {
        assert_eq!(sqlstate(&of, &deep(128)), "accepted");
        assert_eq!(sqlstate(&of, &deep(129)), "54000");
        assert_eq!(sqlstate(&of, &deep(1_000_000)), "54000");
    }
}

#[test]
fn jsonb_is_looked_through() {
    let json = r#"{"a\\u0000": "\ud83d\ude00 [[[", "n": [-1.5e+10, 0]}"#;
    let field = encode(&Type::JSONB, json).unwrap().unwrap();
    assert_eq!((field[0], &field[1..]), (1, json.as_bytes()));
    for (json, expected) in [
        (r#"{"a": "x\u0000"}"#, "22P05"),
        (r#"{"\u0000": 1}"#, "22P05"),
        (r#"["\ud83d"]"#, "22P02"),
        (r#"["\ude00"]"#, "22P02"),
        (r#"["\ude00\ud83d"]"#, "22P02"),
        (r#"["\ud83dx\ude00"]"#, "22P02"),
        (r#"["\ud83d\n"]"#, "22P02"),
        (r#"["\ud83d\ud83d\ude00"]"#, "22P02"),
        ("[1e131072]", "22003"),
        ("[1e-16384]", "22003"),
        ("[1e99999999999]", "22003"),
        ("[-1e131071, 1e-16383, 0.5]", "accepted"),
    ] {
        assert_eq!(sqlstate(&Type::JSONB, json), expected, "{json}");
    }
    let digits = "1".repeat(131_073);
    assert_eq!(sqlstate(&Type::JSONB, &digits), "22003");
    let long = format!("\"{}\"", "x".repeat(16 << 20));
    assert_eq!(sqlstate(&Type::JSONB, &long), "54000");
}

/// Every type that has an encoder, arrays left out.
const ALL: [Type; 40] = [
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::NAME,
    Type::CHAR,
    Type::UUID,
    Type::DATE,
    Type::TIME,
    Type::TIMETZ,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
    Type::BYTEA,
    Type::BIT,
    Type::VARBIT,
    Type::INET,
    Type::CIDR,
    Type::MACADDR,
    Type::MACADDR8,
    Type::JSON,
    Type::JSONB,
    Type::INT4_RANGE,
    Type::INT8_RANGE,
    Type::NUM_RANGE,
    Type::TS_RANGE,
    Type::TSTZ_RANGE,
    Type::DATE_RANGE,
    Type::INT4MULTI_RANGE,
    Type::INT8MULTI_RANGE,
    Type::NUMMULTI_RANGE,
    Type::TSMULTI_RANGE,
    Type::TSTZMULTI_RANGE,
    Type::DATEMULTI_RANGE,
];

/// Arrays of a few of them.
const ARRAYS: [Type; 5] = [
    Type::INT4_ARRAY,
    Type::TEXT_ARRAY,
    Type::NUMERIC_ARRAY,
    Type::JSONB_ARRAY,
    Type::NUM_RANGE_ARRAY,
];

proptest! {
    #[test]
    fn every_integer_comes_back(value: i64) {
        prop_assert_eq!(read::<i64>(&Type::INT8, &value.to_string()), value);
        prop_assert_eq!(read::<i64>(&Type::INT8, &format!("\"{value}\"")), value);
        let fits = i32::try_from(value).is_ok();
        let expected = if fits { "accepted" } else { "22003" };
        prop_assert_eq!(sqlstate(&Type::INT4, &value.to_string()), expected);
    }

    #[test]
    fn every_double_comes_back(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        prop_assert_eq!(read::<f64>(&Type::FLOAT8, &format!("{value:?}")).to_bits(), bits);
    }

    #[test]
    fn every_text_comes_back(text in "[^\0]*") {
        let json = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(read::<String>(&Type::TEXT, &json), text);
    }

    #[test]
    fn every_byte_string_comes_back(bytes: Vec<u8>) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(read::<Vec<u8>>(&Type::BYTEA, &format!("\"\\\\x{hex}\"")), bytes);
    }

    #[test]
    fn every_instant_comes_back(second in -62_135_596_800i64..253_402_207_200, micro in 0i64..1_000_000) {
        let instant = jiff::Timestamp::new(second, (micro * 1000) as i32).unwrap();
        let expected = (second - 946_684_800) * 1_000_000 + micro;
        let field = encode(&Type::TIMESTAMPTZ, &format!("\"{instant}\"")).unwrap().unwrap();
        prop_assert_eq!(field, expected.to_be_bytes());
    }

    #[test]
    fn jsonb_takes_what_the_client_library_reads(text in "[^\0]*", number: i64) {
        let value = serde_json::json!({ text.clone(): [number, text], "n": null });
        prop_assert_eq!(read::<serde_json::Value>(&Type::JSONB, &value.to_string()), value);
    }

    #[test]
    fn no_literal_panics(literal in r#"[-+0-9eE.:/TZ\[\](), xaé"\\{}]{0,30}"#) {
        let json = serde_json::to_string(&literal).unwrap();
        for of in ALL.iter().chain(&ARRAYS) {
            let _ = encode(of, &json);
        }
    }
}
