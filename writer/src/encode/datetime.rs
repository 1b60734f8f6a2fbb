//! `date`, `timestamp`, `timestamptz`: ISO 8601 and RFC 3339, and ±infinity.
//!
//! Nothing depends on a session's time zone or the clock: an instant needs its offset, and words
//! such as `now` are refused.

use jiff::civil::{Date, DateTime, date as civil_date};
use jiff::{SignedDuration, Timestamp};

use super::excerpt;
use crate::rejection::{Rejection, SqlState};

/// 2000-01-01, from where PostgreSQL counts.
const EPOCH: Date = civil_date(2000, 1, 1);

/// Days since 2000-01-01.
pub fn date(literal: &str) -> Result<i32, Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(positive) = infinity(trimmed) {
        return Ok(if positive { i32::MAX } else { i32::MIN });
    }
    let date: Date = trimmed.parse().map_err(|_| invalid("date", literal))?;
    check_year(date, literal)?;
    Ok((date.duration_since(EPOCH).as_hours() / 24) as i32)
}

/// Microseconds since 2000-01-01, on a clock without a place. An offset in the literal is ignored,
/// as PostgreSQL does.
pub fn timestamp(literal: &str) -> Result<i64, Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(positive) = infinity(trimmed) {
        return Ok(if positive { i64::MAX } else { i64::MIN });
    }
    let local = trimmed.strip_suffix(['Z', 'z']).unwrap_or(trimmed);
    let local: DateTime = without_zone_name(local)
        .and_then(|local| local.parse().ok())
        .ok_or_else(|| invalid("timestamp", literal))?;
    check_year(local.date(), literal)?;
    Ok(microseconds(local.duration_since(EPOCH.at(0, 0, 0, 0))))
}

/// Microseconds since 2000-01-01 UTC.
pub fn timestamptz(literal: &str) -> Result<i64, Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(positive) = infinity(trimmed) {
        return Ok(if positive { i64::MAX } else { i64::MIN });
    }
    let Some(text) = without_zone_name(trimmed) else {
        return Err(invalid("timestamptz", literal));
    };
    let Ok(instant) = text.parse::<Timestamp>() else {
        return Err(if text.parse::<DateTime>().is_ok() {
            Rejection::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("{} needs an offset from UTC, such as Z or +00:00", excerpt(literal)),
            )
        } else {
            invalid("timestamptz", literal)
        });
    };
    /// 2000-01-01T00:00:00Z in seconds since 1970.
    const EPOCH_SECOND: i64 = 946_684_800;
    let since_epoch = instant.as_duration() - SignedDuration::from_secs(EPOCH_SECOND);
    // The year 1 begins here; PostgreSQL's BC spelling is not read, so neither is jiff's −0001.
    if since_epoch.as_secs() < -63_082_281_600 {
        return Err(out_of_range(literal));
    }
    Ok(microseconds(since_epoch))
}

/// Whether the literal is infinity, and of which sign.
fn infinity(literal: &str) -> Option<bool> {
    let unsigned = literal.strip_prefix(['+', '-']).unwrap_or(literal);
    unsigned.eq_ignore_ascii_case("infinity").then(|| !literal.starts_with('-'))
}

/// The literal, unless it has a time zone in brackets, whose rules are not known here.
fn without_zone_name(literal: &str) -> Option<&str> {
    (!literal.contains('[')).then_some(literal)
}

/// Rounded to microseconds, ties to even.
fn microseconds(duration: SignedDuration) -> i64 {
    let nanoseconds = duration.as_nanos();
    let (quotient, remainder) = (nanoseconds.div_euclid(1000), nanoseconds.rem_euclid(1000));
    let up = remainder > 500 || (remainder == 500 && quotient % 2 != 0);
    // Years 1 to 9999 are 3.2e17 microseconds.
    (quotient + i128::from(up)) as i64
}

fn check_year(date: Date, literal: &str) -> Result<(), Rejection> {
    if date.year() < 1 { Err(out_of_range(literal)) } else { Ok(()) }
}

fn invalid(type_name: &str, literal: &str) -> Rejection {
    Rejection::new(
        SqlState::INVALID_DATETIME_FORMAT,
        format!("invalid input for type {type_name}: {}", excerpt(literal)),
    )
}

fn out_of_range(literal: &str) -> Rejection {
    Rejection::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("{} is before the year 1", excerpt(literal)),
    )
}
