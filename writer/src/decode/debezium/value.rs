//! One column's value, by the schema if there is one.
//!
//! What JSON has no type for is turned into the literal that PostgreSQL has for it. From there on it
//! is a value as those of `flat` are, whichever way the target's rows are copied.

use std::borrow::Cow;

use tokio_postgres::types::Type;

use super::row_schema::{Meaning, RowSchema};
use super::{base64_bytes, decimal, temporal};
use crate::catalog::Column;
use crate::encode::{Shape, Value};
use crate::json::{Json, Kind, malformed, visit_array};
use crate::rejection::{Rejection, SqlState};

/// The JSON text of a column's value as `flat` would have it. Whether it is JSON, where the value
/// was a document, is still to be looked at.
pub fn read<'a>(
    schema: Option<&RowSchema>,
    column: &Column,
    value: Json<'a>,
) -> Result<Cow<'a, str>, Rejection> {
    match (column.shape, schema) {
        _ if value.is_null() => Ok(value.text().into()),
        (Shape::One(Value::Json), _) => document(value),
        (Shape::Array(Value::Json, _), _) => array(value, document).map(Cow::Owned),
        (_, None) => without_schema(column, value),
        (_, Some(schema)) => match schema.meaning(&column.name) {
            Some(meaning) => by_meaning(meaning, value),
            None => Ok(value.text().into()),
        },
    }
}

/// What a value means, as a JSON text that has it as a literal.
fn by_meaning<'a>(meaning: &Meaning, value: Json<'a>) -> Result<Cow<'a, str>, Rejection> {
    if value.is_null() {
        return Ok(value.text().into());
    }
    let literal = match meaning {
        Meaning::Bytes => base64_bytes::literal(&base64_bytes::decode(value)?),
        Meaning::Decimal(scale) => decimal::literal(value, *scale)?,
        Meaning::VariableScaleDecimal => decimal::variable_scale_literal(value)?,
        Meaning::Date => temporal::date_literal(value)?,
        Meaning::Time(unit) => temporal::time_literal(value, *unit)?,
        Meaning::Timestamp(unit) => temporal::timestamp_literal(value, *unit)?,
        Meaning::IsoWithoutZone => without_zone(&value.string()?).to_owned(),
        Meaning::Array(items) => {
            return array(value, |item| by_meaning(items, item)).map(Cow::Owned);
        }
        Meaning::Unsupported { name, advice } => {
            return Err(Rejection::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("values of {name} are not supported; {advice}"),
            ));
        }
    };
    Ok(quoted(&literal))
}

/// Without a schema a value is what `flat` takes it for. But a count does not say of what.
fn without_schema<'a>(column: &Column, value: Json<'a>) -> Result<Cow<'a, str>, Rejection> {
    let is = |types: &[Type]| types.iter().any(|of| of.oid() == column.type_oid);
    let kind = value.kind()?;
    if is(&[Type::DATE, Type::TIME])
        && let Kind::String(text) = &kind
    {
        return Ok(quoted(without_zone(text)));
    }
    let temporal = [Type::DATE, Type::TIME, Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::INTERVAL];
    if is(&temporal) && matches!(kind, Kind::Number(_)) {
        return Err(malformed(
            "a number is no time without a schema that says what it counts; let the converter \
             write schemas, or set the connector's time.precision.mode to isostring",
        ));
    }
    Ok(value.text().into())
}

/// Debezium has a JSON document as a string.
fn document(value: Json<'_>) -> Result<Cow<'_, str>, Rejection> {
    match value.kind()? {
        Kind::String(Cow::Borrowed(text)) => Ok(text.into()),
        Kind::String(Cow::Owned(text)) => Ok(text.into()),
        _ => Ok(value.text().into()),
    }
}

/// The array of what each item is read as.
fn array<'a>(
    value: Json<'a>,
    read: impl Fn(Json<'a>) -> Result<Cow<'a, str>, Rejection>,
) -> Result<String, Rejection> {
    let mut text = String::from("[");
    visit_array(value.text(), |index, item| {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&read(item)?);
        Ok(())
    })?;
    text.push(']');
    Ok(text)
}

fn without_zone(text: &str) -> &str {
    text.strip_suffix('Z').unwrap_or(text)
}

fn quoted<'a>(literal: &str) -> Cow<'a, str> {
    serde_json::Value::from(literal).to_string().into()
}
