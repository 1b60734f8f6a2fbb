//! Counts of days, or of parts of a second, as the literals that they stand for.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, date};

use crate::json::{Json, Kind, malformed};
use crate::rejection::{Rejection, SqlState};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a second.
    Milliseconds,
    /// Millionths.
    Microseconds,
    /// Billionths.
    Nanoseconds,
}

const EPOCH: Date = date(1970, 1, 1);

/// What PostgreSQL's JDBC driver, and so Debezium, has for infinite timestamps.
const INFINITIES: [(i64, &str); 4] = [
    (9_223_372_036_825_200_000, "infinity"),
    (9_223_372_036_825_200, "infinity"),
    (-9_223_372_036_832_400_000, "-infinity"),
    (-9_223_372_036_832_400, "-infinity"),
];

impl Unit {
    fn nanoseconds(self) -> i64 {
        match self {
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1000,
            Self::Nanoseconds => 1,
        }
    }

    fn duration(self, count: i64) -> SignedDuration {
        let per_second = 1_000_000_000 / self.nanoseconds();
        let rest = count.rem_euclid(per_second) * self.nanoseconds();
        SignedDuration::from_secs(count.div_euclid(per_second)) + SignedDuration::from_nanos(rest)
    }
}

/// A date, from the days since 1970.
pub fn date_literal(value: Json<'_>) -> Result<String, Rejection> {
    let days = count(value)?;
    let hours = days.checked_mul(24).map(SignedDuration::from_hours);
    let date = hours.and_then(|hours| EPOCH.checked_add(hours).ok());
    Ok(date.filter(|date| date.year() > 0).ok_or_else(|| out_of_range("date", days))?.to_string())
}

/// A timestamp, from the time since 1970.
pub fn timestamp_literal(value: Json<'_>, unit: Unit) -> Result<String, Rejection> {
    let count = count(value)?;
    if let Some((_, infinity)) = INFINITIES.iter().find(|(sentinel, _)| *sentinel == count) {
        return Ok((*infinity).to_owned());
    }
    let time: Option<DateTime> = EPOCH.at(0, 0, 0, 0).checked_add(unit.duration(count)).ok();
    let time = time.filter(|time| time.year() > 0);
    Ok(time.ok_or_else(|| out_of_range("timestamp", count))?.to_string())
}

/// A time of day, from the time since midnight. Midnight at the end of a day is 24:00.
pub fn time_literal(value: Json<'_>, unit: Unit) -> Result<String, Rejection> {
    let count = count(value)?;
    let time = unit.duration(count);
    if time.is_negative() || time > SignedDuration::from_hours(24) {
        return Err(out_of_range("time", count));
    }
    let (seconds, nanoseconds) = (time.as_secs(), time.subsec_nanos());
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if nanoseconds == 0 { String::new() } else { format!(".{nanoseconds:09}") };
    Ok(format!("{hour:02}:{minute:02}:{second:02}{fraction}"))
}

fn count(value: Json<'_>) -> Result<i64, Rejection> {
    match value.kind()? {
        Kind::Number(number) => number
            .parse()
            .map_err(|_| malformed(format!("{number} is not a whole number of 64 bits"))),
        other => Err(malformed(format!("expected a number, found {other}"))),
    }
}

fn out_of_range(kind: &str, count: i64) -> Rejection {
    Rejection::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("{count} is a {kind} outside of the years 1 to 9999, or of a day"),
    )
}
