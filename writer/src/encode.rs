//! Values of events as PostgreSQL's binary COPY wants them: one file per family of types.
//!
//! What an encoder writes, the type's receive function must take: an error in the middle of a COPY
//! would cost the whole batch. So everything is checked here, and refused with the SQLSTATE that
//! PostgreSQL would give.

mod boolean;
mod bytea;
mod datetime;
pub(crate) mod field;
pub(crate) mod float;
pub(crate) mod int8range;
mod integer;
mod json;
mod text;
mod uuid;

use tokio_postgres::types::Type;

use crate::json::{Json, Kind, malformed};
use crate::rejection::{Rejection, SqlState};

pub(crate) use bytea::decode_hex;
pub(crate) use json::encode_built_jsonb;
pub(crate) use text::encode_text;

/// How values of a column's type are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `text`, `varchar`, `char(n)`: lengths are left to the table
    Text,
    /// `name`
    Name,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `bytea`
    Bytea,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `int8range`
    Int8range,
}

impl Encoder {
    /// The encoder for the type of this oid, if there is one.
    pub fn for_type(oid: u32) -> Option<Self> {
        let encoders = [
            (Type::BOOL, Self::Bool),
            (Type::INT2, Self::Int2),
            (Type::INT4, Self::Int4),
            (Type::INT8, Self::Int8),
            (Type::FLOAT4, Self::Float4),
            (Type::FLOAT8, Self::Float8),
            (Type::TEXT, Self::Text),
            (Type::VARCHAR, Self::Text),
            (Type::BPCHAR, Self::Text),
            (Type::NAME, Self::Name),
            (Type::UUID, Self::Uuid),
            (Type::DATE, Self::Date),
            (Type::TIMESTAMP, Self::Timestamp),
            (Type::TIMESTAMPTZ, Self::Timestamptz),
            (Type::BYTEA, Self::Bytea),
            (Type::JSON, Self::Json),
            (Type::JSONB, Self::Jsonb),
            (Type::INT8_RANGE, Self::Int8range),
        ];
        encoders.into_iter().find(|(of, _)| of.oid() == oid).map(|(_, encoder)| encoder)
    }

    /// Appends a JSON value as one field. `null` is SQL null; a string is the type's input literal,
    /// a number its text; json and jsonb take any value.
    pub fn encode(self, value: Json<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
        if value.is_null() {
            field::null(out);
            return Ok(());
        }
        match self {
            Self::Json => json::encode_json(value.text(), out),
            Self::Jsonb => json::encode_jsonb(value.text(), out),
            _ => match value.kind()? {
                Kind::String(literal) => self.encode_literal(&literal, out),
                Kind::Number(literal) => self.encode_literal(literal, out),
                Kind::Bool(truth) if self == Self::Bool => {
                    field::fixed(&[u8::from(truth)], out);
                    Ok(())
                }
                other => Err(malformed(format!("{other} is not a value of this type"))),
            },
        }
    }

    /// Appends the value of which this is the input literal.
    fn encode_literal(self, literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
        match self {
            Self::Bool => return boolean::encode(literal, out),
            Self::Int2 => field::fixed(&integer::parse::<i16>(literal)?.to_be_bytes(), out),
            Self::Int4 => field::fixed(&integer::parse::<i32>(literal)?.to_be_bytes(), out),
            Self::Int8 => field::fixed(&integer::parse::<i64>(literal)?.to_be_bytes(), out),
            Self::Float4 => field::fixed(&float::parse_f32(literal)?.to_be_bytes(), out),
            Self::Float8 => field::fixed(&float::parse_f64(literal)?.to_be_bytes(), out),
            Self::Text => return encode_text(literal, out),
            Self::Name => return text::encode_name(literal, out),
            Self::Uuid => field::fixed(uuid::parse(literal)?.as_bytes(), out),
            Self::Date => field::fixed(&datetime::date(literal)?.to_be_bytes(), out),
            Self::Timestamp => field::fixed(&datetime::timestamp(literal)?.to_be_bytes(), out),
            Self::Timestamptz => field::fixed(&datetime::timestamptz(literal)?.to_be_bytes(), out),
            Self::Bytea => return bytea::encode(literal, out),
            Self::Json => return json::encode_json(literal, out),
            Self::Jsonb => return json::encode_jsonb(literal, out),
            Self::Int8range => int8range::parse(literal)?.encode(out),
        }
        Ok(())
    }
}

/// The refusal of a literal that is none of its type.
fn invalid(type_name: &str, literal: &str) -> Rejection {
    malformed(format!("invalid input for type {type_name}: {}", excerpt(literal)))
}

/// The refusal of a number that its type can't hold.
fn out_of_range(type_name: &str, literal: &str) -> Rejection {
    Rejection::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("{} is out of range for type {type_name}", excerpt(literal)),
    )
}

/// The beginning of a literal, quoted, for messages.
fn excerpt(literal: &str) -> String {
    const LONGEST: usize = 100;
    if literal.len() <= LONGEST {
        return format!("{literal:?}");
    }
    format!("{:?}…", &literal[..literal.floor_char_boundary(LONGEST)])
}

#[cfg(test)]
mod tests;
