//! Dates and times.

use tokio_postgres::types::Type;

use super::{encode, sqlstate};

/// The figures are PostgreSQL 15's, from `date_send` and `timestamp_send`.
#[test]
fn dates_and_times() {
    for (json, days) in [
        ("\"2000-01-01\"", 0),
        ("\"2024-02-29\"", 8825),
        ("\"1999-12-31\"", -1),
        ("\"0001-01-01\"", -730_119),
        ("\"9999-12-31\"", 2_921_939),
        ("\"infinity\"", i32::MAX),
        ("\"-Infinity\"", i32::MIN),
        ("\"20240229\"", 8825),
        ("\"2024-2-29\"", 8825),
        ("\"2024-02-29T12:34:56Z\"", 8825),
        ("\"2024-02-29+05\"", 8825),
        ("\"2024-02-29 -05\"", 8825),
        ("\"0044-03-15 BC\"", -746_117),
        ("\"0001-12-31bc\"", -730_120),
        ("\"4714-11-24 BC\"", -2_451_545),
        ("\"5874897-12-31\"", 2_145_031_948),
    ] {
        assert_eq!(encode(&Type::DATE, json).unwrap().unwrap(), days.to_be_bytes(), "{json}");
    }
    for (json, microseconds) in [
        ("\"2000-01-01T00:00:00Z\"", 0),
        ("\"2024-02-29T12:34:56.789012+05:30\"", 762_505_496_789_012),
        ("\"2024-02-29 12:34:56.789012-08\"", 762_554_096_789_012),
        ("\"1999-12-31T23:59:59.999999Z\"", -1),
        ("\"2000-01-01T00:00:00.0000005Z\"", 0),
        ("\"2000-01-01T00:00:00.0000015Z\"", 2),
        ("\"0001-01-01T00:00:00Z\"", -63_082_281_600_000_000),
        ("\"9999-12-31T21:00:00Z\"", 252_455_605_200_000_000),
        ("\"9999-12-31T23:59:59.999999-12\"", 252_455_659_199_999_999),
        ("\"infinity\"", i64::MAX),
        ("\"-infinity\"", i64::MIN),
        ("\"2024-02-29 12:00:00 +05:30:15\"", 762_503_385_000_000),
        ("\"2024-02-29 12:00:00+530\"", 762_503_400_000_000),
        ("\"4714-11-24 00:00:00+00 BC\"", -211_813_488_000_000_000),
        ("\"294276-12-31 23:59:59.999999Z\"", 9_223_371_331_199_999_999),
    ] {
        let field = encode(&Type::TIMESTAMPTZ, json).unwrap().unwrap();
        assert_eq!(field, i64::to_be_bytes(microseconds), "{json}");
    }
    for (json, microseconds) in [
        ("\"2024-02-29 12:34:56.789012\"", 762_525_296_789_012),
        ("\"2024-02-29T12:34:56.789012+05:30\"", 762_525_296_789_012),
        ("\"2024-02-29T12:34:56.789012Z\"", 762_525_296_789_012),
        ("\"2024-02-29\"", 762_480_000_000_000),
        ("\"9999-12-31T23:59:59.999999\"", 252_455_615_999_999_999),
        ("\"2024-02-29 24:00:00\"", 762_566_400_000_000),
        ("\"20240229T123456.5\"", 762_525_296_500_000),
        ("\"2024-02-29 12:34\"", 762_525_240_000_000),
    ] {
        let field = encode(&Type::TIMESTAMP, json).unwrap().unwrap();
        assert_eq!(field, i64::to_be_bytes(microseconds), "{json}");
    }
}

#[test]
fn what_is_no_date_or_time() {
    for (of, json) in [
        (Type::TIMESTAMPTZ, "\"2024-02-29T12:00:00\""),
        (Type::TIMESTAMPTZ, "\"2024-02-29\""),
        (Type::TIMESTAMPTZ, "\"now\""),
        (Type::TIMESTAMPTZ, "1700000000"),
        (Type::TIMESTAMPTZ, "\"2024-01-01T00:00:00+00:00[Europe/Paris]\""),
        (Type::TIMESTAMPTZ, "\"2016-12-31T23:59:60Z\""),
        (Type::TIMESTAMPTZ, "\"20161231t235960Z\""),
        (Type::TIMESTAMP, "\"2016-12-31 23:59:60.5\""),
        (Type::TIMESTAMP, "\"today\""),
        (Type::TIMESTAMP, "\"\""),
        (Type::DATE, "\"01/02/2003\""),
        (Type::DATE, "\"-0001-01-01\""),
        (Type::DATE, "\"99-01-02\""),
        (Type::DATE, "\"2024-02-29-05\""),
        (Type::DATE, "\"2024-02-29T\""),
        (Type::DATE, "\"2024-02-29T BC\""),
        (Type::DATE, "\"+infinity\""),
        (Type::TIME, "\"2024-02-29\""),
        (Type::TIME, "\"2024-02-29 12:34\""),
        (Type::TIMETZ, "\"2024-01:30\""),
        (Type::TIME, "\"12\""),
        (Type::TIME, "\"123456.\""),
        (Type::TIME, "\"12:34:60\""),
        (Type::TIME, "\"12:34:56 PM\""),
        (Type::TIMETZ, "\"12:34:56\""),
    ] {
        assert_eq!(sqlstate(&of, json), "22007", "{json}");
    }
    for (of, json) in [
        (Type::DATE, "\"2023-02-29\""),
        (Type::DATE, "\"1900-02-29\""),
        (Type::DATE, "\"0000-01-01\""),
        (Type::DATE, "\"4714-11-23 BC\""),
        (Type::DATE, "\"5874898-01-01\""),
        (Type::DATE, "\"99999999999999999999-01-01\""),
        (Type::TIMESTAMPTZ, "\"2024-02-30T00:00:00Z\""),
        (Type::TIMESTAMPTZ, "\"294277-01-01T00:00:00Z\""),
        (Type::TIMESTAMPTZ, "\"4714-11-24 00:00:00+01 BC\""),
        (Type::TIMESTAMP, "\"2024-01-01 25:00\""),
        (Type::TIME, "\"24:00:00.000001\""),
        (Type::TIME, "\"12:60\""),
    ] {
        assert_eq!(sqlstate(&of, json), "22008", "{json}");
    }
    assert_eq!(sqlstate(&Type::TIMETZ, "\"12:00+16\""), "22009");
    assert_eq!(sqlstate(&Type::TIMESTAMP, "\"2024-01-01 12:00+05:60\""), "22009");
    let rejection = encode(&Type::TIMESTAMPTZ, "\"2024-02-29T12:00:00\"").unwrap_err();
    assert!(rejection.message.contains("needs an offset"), "{}", rejection.message);
}

/// The figures are PostgreSQL 15's, from `time_send` and `timetz_send`.
#[test]
fn times_of_day() {
    for (json, microseconds) in [
        ("\"00:00\"", 0),
        ("\"04:05:06.789\"", 14_706_789_000),
        ("\"4:5:6\"", 14_706_000_000),
        ("\"040506\"", 14_706_000_000),
        ("\"T04:05:06+02\"", 14_706_000_000),
        ("\"23:59:59.9999999\"", 86_400_000_000),
        ("\"24:00:00\"", 86_400_000_000),
    ] {
        let field = encode(&Type::TIME, json).unwrap().unwrap();
        assert_eq!(field, i64::to_be_bytes(microseconds), "{json}");
    }
    for (json, microseconds, west) in [
        ("\"04:05:06Z\"", 14_706_000_000i64, 0i32),
        ("\"04:05:06+05:30\"", 14_706_000_000, -19_800),
        ("\"040506-08\"", 14_706_000_000, 28_800),
        ("\"0405-0830\"", 14_700_000_000, 30_600),
        ("\"24:00:00+15:59:59\"", 86_400_000_000, -57_599),
    ] {
        let expected = [&microseconds.to_be_bytes()[..], &west.to_be_bytes()].concat();
        assert_eq!(encode(&Type::TIMETZ, json).unwrap().unwrap(), expected, "{json}");
    }
}
