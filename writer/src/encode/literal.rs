//! JSON values as input literals, for columns that the database itself parses.

use std::borrow::Cow;

use tokio_postgres::types::{Kind as TypeKind, Type};

use super::array_shape::MOST_DIMENSIONS;
use crate::json::{Json, Kind, malformed, visit_array};
use crate::rejection::{Rejection, SqlState};

/// What a type takes, domains looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One(Value),
    /// An array of values, with this between them.
    Array(Value, char),
}

/// What a value that is no array takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Strings, which are literals, and numbers.
    Plain,
    /// Booleans too.
    Bool,
    /// Any JSON.
    Json,
}

impl Shape {
    /// The shape of a built-in type.
    pub fn of_type(oid: u32) -> Self {
        match Type::from_oid(oid).as_ref().map(Type::kind) {
            Some(TypeKind::Array(element)) => Self::Array(Value::of_type(element.oid()), ','),
            _ => Self::One(Value::of_type(oid)),
        }
    }

    /// The literal that a value, which is not null, stands for.
    pub fn literal<'a>(self, value: Json<'a>) -> Result<Cow<'a, str>, Rejection> {
        match self {
            Self::One(one) => one.literal(value),
            Self::Array(element, delimiter) => match value.kind()? {
                Kind::Array => {
                    let mut literal = String::new();
                    put_array(value, element, delimiter, 1, &mut literal)?;
                    Ok(Cow::Owned(literal))
                }
                Kind::String(literal) => Ok(literal),
                other => Err(no_value(&other)),
            },
        }
    }
}

impl Value {
    /// What the type of this oid takes.
    pub fn of_type(oid: u32) -> Self {
        match Type::from_oid(oid) {
            Some(Type::BOOL) => Self::Bool,
            Some(Type::JSON | Type::JSONB) => Self::Json,
            _ => Self::Plain,
        }
    }

    fn literal<'a>(self, value: Json<'a>) -> Result<Cow<'a, str>, Rejection> {
        if self == Self::Json {
            return Ok(Cow::Borrowed(value.text()));
        }
        match value.kind()? {
            Kind::String(literal) => Ok(literal),
            Kind::Number(literal) => Ok(Cow::Borrowed(literal)),
            Kind::Bool(truth) if self == Self::Bool => {
                Ok(Cow::Borrowed(if truth { "t" } else { "f" }))
            }
            other => Err(no_value(&other)),
        }
    }
}

/// The refusal of a kind of JSON that is no literal.
pub fn no_value(kind: &Kind<'_>) -> Rejection {
    malformed(format!("{kind} is not a value of this type"))
}

/// Appends a JSON array in braces. Whether its rows are equal is for the database to say.
fn put_array(
    array: Json<'_>,
    element: Value,
    delimiter: char,
    depth: usize,
    out: &mut String,
) -> Result<(), Rejection> {
    if depth > MOST_DIMENSIONS {
        return Err(Rejection::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("an array has at most {MOST_DIMENSIONS} dimensions"),
        ));
    }
    out.push('{');
    visit_array(array.text(), |index, value| {
        if index > 0 {
            out.push(delimiter);
        }
        if value.is_null() {
            out.push_str("NULL");
        } else if element != Value::Json && value.kind()? == Kind::Array {
            put_array(value, element, delimiter, depth + 1, out)?;
        } else {
            put_quoted(&element.literal(value)?, out);
        }
        Ok(())
    })?;
    out.push('}');
    Ok(())
}

fn put_quoted(literal: &str, out: &mut String) {
    out.push('"');
    for character in literal.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}
