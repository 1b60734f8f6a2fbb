//! Literals of dates and times: ISO 8601 as PostgreSQL reads it, with eras and long years.
//!
//! Nothing depends on a session's time zone, its date style or the clock.

use super::excerpt;
use crate::rejection::{Rejection, SqlState};

/// What a literal says. Parts that it does not have are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Days since 2000-01-01.
    pub days: Option<i64>,
    /// Microseconds since midnight; up to 24:00:00.
    pub microseconds: Option<i64>,
    /// Seconds east of UTC.
    pub offset: Option<i32>,
}

/// Why a literal is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has another form.
    Form,
    /// A field, or the whole, is out of its range.
    Range,
    /// The offset from UTC is.
    Offset,
}

impl Fault {
    /// The refusal of this literal of this type.
    pub fn refuse(self, type_name: &str, literal: &str) -> Rejection {
        let literal = excerpt(literal);
        match self {
            Self::Form => Rejection::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input for type {type_name}: {literal}"),
            ),
            Self::Range => Rejection::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("a field is out of range for type {type_name}: {literal}"),
            ),
            Self::Offset => Rejection::new(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT,
                format!("the offset from UTC is out of range: {literal}"),
            ),
        }
    }
}

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Microseconds of a day.
pub const DAY: i64 = 24 * HOUR;

/// Reads a literal without blanks around it: a date, a time or both, an offset, an era.
pub fn read(literal: &str) -> Result<Civil, Fault> {
    let mut rest = Rest(literal.as_bytes());
    let date = rest.date()?;
    let clock = rest.clock()?;
    let offset = rest.offset()?;
    let before_christ = date.is_some() && rest.is_before_christ();
    if date.is_none() && clock.is_none() || !rest.0.is_empty() {
        return Err(Fault::Form);
    }
    let days = date.map(|date| days(date, before_christ)).transpose()?;
    let microseconds = clock.map(microseconds).transpose()?;
    Ok(Civil { days, microseconds, offset })
}

/// Year, month and day.
type Date = (i64, i64, i64);

/// Hour, minute, second and microsecond.
type Clock = (i64, i64, i64, i64);

/// Days since 2000-01-01 of a date in the Gregorian calendar.
fn days((year, month, day): Date, before_christ: bool) -> Result<i64, Fault> {
    const FIRST_YEAR: i64 = -4713;
    const LAST_YEAR: i64 = 5_874_897;
    if year < 1 {
        return Err(Fault::Range);
    }
    let year = if before_christ { 1 - year } else { year };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(Fault::Range),
    };
    if !(1..=length).contains(&day) || !(FIRST_YEAR..=LAST_YEAR).contains(&year) {
        return Err(Fault::Range);
    }
    // Years that begin in March end with the leap day.
    let (march_year, march_month) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days =
        march_year.div_euclid(4) - march_year.div_euclid(100) + march_year.div_euclid(400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    // 1999-03-01 to 2000-01-01 has 306 days; that year's own count is the constant.
    let since_epoch = march_year * 365 + leap_days + day_of_year - 730_425;
    // 4714-11-24 before Christ is the first day of the Julian count.
    if since_epoch < -2_451_545 { Err(Fault::Range) } else { Ok(since_epoch) }
}

/// Microseconds since midnight. A leap second is refused, since it would be read as another one.
fn microseconds((hour, minute, second, microsecond): Clock) -> Result<i64, Fault> {
    if second == 60 {
        return Err(Fault::Form);
    }
    if hour > 24 || minute > 59 || second > 60 {
        return Err(Fault::Range);
    }
    let sum = hour * HOUR + minute * MINUTE + second * SECOND + microsecond;
    if hour == 24 && sum > DAY { Err(Fault::Range) } else { Ok(sum) }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn take(&mut self, byte: u8) -> bool {
        let rest = self.0.split_first().filter(|(first, _)| **first == byte);
        if let Some((_, rest)) = rest {
            self.0 = rest;
        }
        rest.is_some()
    }

    fn take_letters(&mut self, letters: &str) -> bool {
        let found = self.0.split_at_checked(letters.len());
        let Some((_, rest)) = found.filter(|(it, _)| it.eq_ignore_ascii_case(letters.as_bytes()))
        else {
            return false;
        };
        self.0 = rest;
        true
    }

    fn digit_count(&self) -> usize {
        self.0.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// So many digits as a number; more than it can hold are its largest.
    fn number(&mut self, digits: usize) -> i64 {
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        number
            .iter()
            .fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
    }

    /// One or two digits.
    fn short_number(&mut self) -> Result<i64, Fault> {
        match self.digit_count() {
            digits @ 1..=2 => Ok(self.number(digits)),
            _ => Err(Fault::Form),
        }
    }

    /// `YYYY-MM-DD` with four or more digits for the year, or `YYYYMMDD`. A hyphen right behind it
    /// would be no sign.
    fn date(&mut self) -> Result<Option<Date>, Fault> {
        let digits = self.digit_count();
        let date = if digits == 8 {
            (self.number(4), self.number(2), self.number(2))
        } else if digits >= 4 && self.0[digits..].starts_with(b"-") && self.has_month(digits + 1) {
            let year = self.number(digits);
            self.take(b'-');
            let month = self.short_number()?;
            self.take(b'-');
            (year, month, self.short_number()?)
        } else {
            return Ok(None);
        };
        if self.0.starts_with(b"-") { Err(Fault::Form) } else { Ok(Some(date)) }
    }

    /// Whether `MM-` begins at `at`: `1234-08` is a time with an offset.
    fn has_month(&self, at: usize) -> bool {
        let rest = self.0.get(at..).unwrap_or_default();
        rest.iter().find(|byte| !byte.is_ascii_digit()) == Some(&b'-')
    }

    /// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.ffffff`, `HHMM`, `HHMMSS` or `HHMMSS.ffffff`, behind blanks or
    /// a T.
    fn clock(&mut self) -> Result<Option<Clock>, Fault> {
        self.skip_blanks();
        let is_announced = self.take_letters("t");
        self.skip_blanks();
        let digits = self.digit_count();
        match digits {
            0 if is_announced => Err(Fault::Form),
            0 => Ok(None),
            _ if self.0[digits..].starts_with(b":") => self.clock_with_colons().map(Some),
            4 | 6 => self.clock_of_digits(digits).map(Some),
            _ => Err(Fault::Form),
        }
    }

    fn clock_with_colons(&mut self) -> Result<Clock, Fault> {
        let hour = self.short_number()?;
        self.take(b':');
        let minute = self.short_number()?;
        if !self.take(b':') {
            return Ok((hour, minute, 0, 0));
        }
        Ok((hour, minute, self.short_number()?, self.microsecond()?))
    }

    fn clock_of_digits(&mut self, digits: usize) -> Result<Clock, Fault> {
        let (hour, minute) = (self.number(2), self.number(2));
        let (second, microsecond) = match digits {
            6 => (self.number(2), if self.has_fraction() { self.microsecond()? } else { 0 }),
            _ => (0, 0),
        };
        // `2024-01:30` is neither a date nor a time with an offset.
        if self.0.starts_with(b"-") && self.0.contains(&b':') {
            return Err(Fault::Form);
        }
        Ok((hour, minute, second, microsecond))
    }

    fn has_fraction(&self) -> bool {
        matches!(self.0, [b'.', b'0'..=b'9', ..])
    }

    /// A fraction of a second, if there is one, rounded as PostgreSQL does: it goes by way of a
    /// double, which matters where the seventh digit is a five.
    fn microsecond(&mut self) -> Result<i64, Fault> {
        let start = self.0;
        if !self.take(b'.') {
            return Ok(0);
        }
        let digits = self.digit_count();
        let (fraction, rest) = start.split_at(1 + digits);
        self.0 = rest;
        if digits == 0 {
            return Ok(0);
        }
        let text = std::str::from_utf8(fraction).map_err(|_| Fault::Form)?;
        let fraction: f64 = text.parse().map_err(|_| Fault::Form)?;
        Ok((fraction * 1e6).round_ties_even() as i64)
    }

    /// `Z`, `+HH`, `+HHMM`, `+HH:MM` or `+HH:MM:SS`, if there is any.
    fn offset(&mut self) -> Result<Option<i32>, Fault> {
        self.skip_blanks();
        let east = match self.0.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(b'z' | b'Z') if !self.0.get(1).is_some_and(u8::is_ascii_alphabetic) => {
                self.0 = &self.0[1..];
                return Ok(Some(0));
            }
            _ => return Ok(None),
        };
        self.0 = &self.0[1..];
        let digits = self.digit_count();
        if digits == 0 {
            return Err(Fault::Form);
        }
        let (mut hour, mut minute, mut second) = (self.number(digits), 0, 0);
        if digits <= 2 && self.take(b':') {
            minute = self.short_number()?;
            if self.take(b':') {
                second = self.short_number()?;
            }
        } else if digits > 2 {
            (hour, minute) = (hour / 100, hour % 100);
        }
        if hour > 15 || minute > 59 || second > 59 {
            return Err(Fault::Offset);
        }
        Ok(Some(east * (hour * 3600 + minute * 60 + second) as i32))
    }

    /// The era, if there is one.
    fn is_before_christ(&mut self) -> bool {
        self.skip_blanks();
        let before_christ = self.take_letters("bc");
        if !before_christ {
            self.take_letters("ad");
        }
        before_christ
    }
}
