//! `date`, `time`, `timetz`, `timestamp`, `timestamptz`: ISO 8601, and ±infinity.
//!
//! Nothing depends on a session's time zone or the clock: an instant needs its offset, and words
//! such as `now` are refused.

use super::civil::{self, Civil, DAY, Fault};
use super::{excerpt, field};
use crate::rejection::{Rejection, SqlState};

/// Where PostgreSQL's timestamps begin, in microseconds since 2000-01-01: 4714-11-24 BC.
const FIRST_TIMESTAMP: i128 = -211_813_488_000_000_000;

/// The first instant that is none: the year 294277.
const END_OF_TIMESTAMPS: i128 = 9_223_371_331_200_000_000;

/// Days since 2000-01-01. A time in the literal is ignored, as PostgreSQL does.
pub fn date(literal: &str) -> Result<i32, Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(positive) = infinity(trimmed) {
        return Ok(if positive { i32::MAX } else { i32::MIN });
    }
    let days = civil::read(trimmed).and_then(|civil| civil.days.ok_or(Fault::Form));
    // Not even the last year has as many days.
    days.map(|days| days as i32).map_err(|fault| fault.refuse("date", literal))
}

/// Microseconds since 2000-01-01, on a clock without a place. An offset in the literal is ignored,
/// as PostgreSQL does.
pub fn timestamp(literal: &str) -> Result<i64, Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(positive) = infinity(trimmed) {
        return Ok(if positive { i64::MAX } else { i64::MIN });
    }
    let read = || instant(&Civil { offset: None, ..civil::read(trimmed)? });
    read().map_err(|fault| fault.refuse("timestamp", literal))
}

/// Microseconds since 2000-01-01 UTC.
pub fn timestamptz(literal: &str) -> Result<i64, Rejection> {
    let trimmed = literal.trim_ascii();
    if let Some(positive) = infinity(trimmed) {
        return Ok(if positive { i64::MAX } else { i64::MIN });
    }
    let refuse = |fault: Fault| fault.refuse("timestamptz", literal);
    let civil = civil::read(trimmed).map_err(refuse)?;
    if civil.offset.is_none() && civil.days.is_some() {
        return Err(needs_offset(literal));
    }
    instant(&civil).map_err(refuse)
}

/// Microseconds since midnight. An offset in the literal is ignored, as PostgreSQL does.
pub fn time(literal: &str) -> Result<i64, Rejection> {
    let (microseconds, _) = clock(literal).map_err(|fault| fault.refuse("time", literal))?;
    Ok(microseconds)
}

/// Appends a time of day with its offset.
pub fn encode_timetz(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let (microseconds, offset) = clock(literal).map_err(|fault| fault.refuse("timetz", literal))?;
    let offset = offset.ok_or_else(|| needs_offset(literal))?;
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&microseconds.to_be_bytes());
    // PostgreSQL counts to the west.
    bytes[8..].copy_from_slice(&(-offset).to_be_bytes());
    field::fixed(&bytes, out);
    Ok(())
}

/// Whether a date, in days since 2000-01-01, has a next one. To PostgreSQL, infinity is its own.
pub fn has_next_date(days: i64) -> bool {
    /// 5874897-12-31
    const LAST_DATE: i64 = 2_145_031_948;
    days != LAST_DATE
}

/// A time of day, and its offset from UTC if there is one.
fn clock(literal: &str) -> Result<(i64, Option<i32>), Fault> {
    match civil::read(literal.trim_ascii())? {
        Civil { days: None, microseconds: Some(microseconds), offset } => {
            Ok((microseconds, offset))
        }
        _ => Err(Fault::Form),
    }
}

fn instant(civil: &Civil) -> Result<i64, Fault> {
    let days = civil.days.ok_or(Fault::Form)?;
    let local = i128::from(days) * i128::from(DAY) + i128::from(civil.microseconds.unwrap_or(0));
    let microseconds = local - i128::from(civil.offset.unwrap_or(0)) * 1_000_000;
    if (FIRST_TIMESTAMP..END_OF_TIMESTAMPS).contains(&microseconds) {
        // That is less than an i64 holds.
        Ok(microseconds as i64)
    } else {
        Err(Fault::Range)
    }
}

/// Whether the literal is infinity, and of which sign.
fn infinity(literal: &str) -> Option<bool> {
    if literal.eq_ignore_ascii_case("infinity") {
        Some(true)
    } else if literal.eq_ignore_ascii_case("-infinity") {
        Some(false)
    } else {
        None
    }
}

fn needs_offset(literal: &str) -> Rejection {
    Rejection::new(
        SqlState::INVALID_DATETIME_FORMAT,
        format!("{} needs an offset from UTC, such as Z or +00:00", excerpt(literal)),
    )
}
