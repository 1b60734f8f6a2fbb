//! A value of a column, as JSON and as PostgreSQL's binary format have it.

use std::{
    error::Error,
    fmt::Write,
    time::{Duration, SystemTime},
};

use bytes::BytesMut;
use serde::Deserialize;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    Int4,
    Int8,
    Float8,
    Text,
    Timestamptz,
}

impl ColumnType {
    pub fn sql(self) -> Type {
        match self {
            Self::Int4 => Type::INT4,
            Self::Int8 => Type::INT8,
            Self::Float8 => Type::FLOAT8,
            Self::Text => Type::TEXT,
            Self::Timestamptz => Type::TIMESTAMPTZ,
        }
    }

    /// As a schema of Kafka Connect has it.
    pub fn connect(self) -> &'static str {
        match self {
            Self::Int4 => r#""type":"int32""#,
            Self::Int8 => r#""type":"int64""#,
            Self::Float8 => r#""type":"double""#,
            Self::Text => r#""type":"string""#,
            Self::Timestamptz => r#""type":"string","name":"io.debezium.time.ZonedTimestamp""#,
        }
    }
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int4(i32),
    Int8(i64),
    Float8(f64),
    Text(String),
    /// In seconds since 1970.
    Time(u64),
}

impl Value {
    /// Appends it to a JSON text. Texts have no character that JSON escapes.
    pub fn write_json(&self, json: &mut String) {
        // Writing to a string does not fail.
        let _ = match self {
            Self::Int4(number) => write!(json, "{number}"),
            Self::Int8(number) => write!(json, "{number}"),
            Self::Float8(number) => write!(json, "{number}"),
            Self::Text(text) => write!(json, "\"{text}\""),
            Self::Time(seconds) => write_time(json, *seconds),
        };
    }
}

fn write_time(json: &mut String, seconds: u64) -> std::fmt::Result {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    write!(json, "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z\"")
}

/// Year, month and day of a day since 1970-01-01.
fn date(day: u64) -> (u64, u64, u64) {
    // Years that begin in March have their leap day at the end; 400 of them have 146,097 days.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Int4(number) => number.to_sql(kind, out),
            Self::Int8(number) => number.to_sql(kind, out),
            Self::Float8(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Time(seconds) => {
                (SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds)).to_sql(kind, out)
            }
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT4, Type::INT8, Type::FLOAT8, Type::TEXT, Type::TIMESTAMPTZ].contains(kind)
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::{Value, date};

    #[test]
    fn days_have_their_dates() {
        for (day, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (20_453, (2025, 12, 31)),
            (20_454, (2026, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(day), expected);
        }
    }

    #[test]
    fn json_has_times_as_people_write_them() {
        let mut json = String::new();
        Value::Time(1_767_225_600 + 3_661).write_json(&mut json);
        assert_eq!(json, r#""2026-01-01T01:01:01Z""#);
    }
}
