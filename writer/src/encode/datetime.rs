//! `date`, `timestamp`, `timestamptz`: ISO 8601 and RFC 3339, and ±infinity.
//!
//! Nothing depends on a session's time zone or the clock: an instant needs its offset, and words
//! such as `now` are refused.

use jiff::SignedDuration;
use jiff::civil::{Date, Time, date as civil_date};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

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
    if date.year() < 1 {
        return Err(out_of_range(literal));
    }
    Ok((date.duration_since(EPOCH).as_hours() / 24) as i32)
}

/// Microseconds since 2000-01-01, on a clock without a place. An offset in the literal is ignored,
/// as PostgreSQL does.
pub fn timestamp(literal: &str) -> Result<i64, Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(positive) = infinity(trimmed) {
        return Ok(if positive { i64::MAX } else { i64::MIN });
    }
    let (since_epoch, _) = local_time(trimmed).ok_or_else(|| invalid("timestamp", literal))?;
    microseconds(since_epoch, literal)
}

/// Microseconds since 2000-01-01 UTC.
pub fn timestamptz(literal: &str) -> Result<i64, Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(positive) = infinity(trimmed) {
        return Ok(if positive { i64::MAX } else { i64::MIN });
    }
    let (since_epoch, offset) =
        local_time(trimmed).ok_or_else(|| invalid("timestamptz", literal))?;
    let offset = offset.ok_or_else(|| {
        Rejection::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("{} needs an offset from UTC, such as Z or +00:00", excerpt(literal)),
        )
    })?;
    microseconds(since_epoch - SignedDuration::from_secs(i64::from(offset.seconds())), literal)
}

/// The clock's time since 2000-01-01, and its offset from UTC if the literal has one. A time zone
/// in brackets is refused, since its rules are not known here. (jiff's own instants end a day
/// before the year 9999 does, which is a common way to say never.)
fn local_time(literal: &str) -> Option<(SignedDuration, Option<Offset>)> {
    let pieces = Pieces::parse(literal).ok()?;
    if pieces.time_zone_annotation().is_some() || has_leap_second(literal) {
        return None;
    }
    let local = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    Some((local.duration_since(EPOCH.at(0, 0, 0, 0)), pieces.to_numeric_offset()))
}

/// Whether the literal is infinity, and of which sign.
fn infinity(literal: &str) -> Option<bool> {
    let unsigned = literal.strip_prefix(['+', '-']).unwrap_or(literal);
    unsigned.eq_ignore_ascii_case("infinity").then(|| !literal.starts_with('-'))
}

/// Whether the clock shows a second 60, which jiff would silently read as 59.
fn has_leap_second(literal: &str) -> bool {
    let Some((_, clock)) = literal.split_once(['T', 't', ' ']) else { return false };
    let second = if clock.as_bytes().get(2) == Some(&b':') { 6..8 } else { 4..6 };
    clock.get(second) == Some("60")
}

/// Rounded to microseconds, ties to even.
fn microseconds(since_epoch: SignedDuration, literal: &str) -> Result<i64, Rejection> {
    /// Where the year 1 begins.
    const FIRST_SECOND: i64 = -63_082_281_600;
    if since_epoch.as_secs() < FIRST_SECOND {
        return Err(out_of_range(literal));
    }
    let nanoseconds = since_epoch.as_nanos();
    let (quotient, remainder) = (nanoseconds.div_euclid(1000), nanoseconds.rem_euclid(1000));
    let up = remainder > 500 || (remainder == 500 && quotient % 2 != 0);
    // Years 1 to 9999 are 3.2e17 microseconds.
    Ok((quotient + i128::from(up)) as i64)
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
