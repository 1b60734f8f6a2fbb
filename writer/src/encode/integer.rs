//! `smallint`, `integer`, `bigint`

use std::any::type_name;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use super::{invalid, out_of_range};
use crate::rejection::Rejection;

/// The integer that the literal is: digits with an optional sign.
pub fn parse<T: FromStr<Err = ParseIntError>>(literal: &str) -> Result<T, Rejection> {
    literal.trim_ascii().parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
            out_of_range(sql_name::<T>(), literal)
        }
        _ => invalid(sql_name::<T>(), literal),
    })
}

/// The oid that the literal is. A negative one is counted from the end, as PostgreSQL does.
pub fn parse_oid(literal: &str) -> Result<u32, Rejection> {
    let number = parse::<i64>(literal)?;
    let oid = match number {
        ..0 => i32::try_from(number).map(i32::cast_unsigned),
        _ => u32::try_from(number),
    };
    oid.map_err(|_| out_of_range("oid", literal))
}

fn sql_name<T>() -> &'static str {
    match type_name::<T>() {
        "i16" => "smallint",
        "i32" => "integer",
        _ => "bigint",
    }
}
