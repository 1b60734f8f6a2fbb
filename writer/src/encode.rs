//! Values of events as PostgreSQL's COPY wants them: one file per family of types.
//!
//! What an encoder writes, the type's receive function must take: an error in the middle of a COPY
//! is expensive. So everything is checked here, and refused with the SQLSTATE that PostgreSQL would
//! give. Types without an encoder are copied as their literals, by a text COPY.

mod array;
mod array_literal;
mod array_shape;
mod bit;
mod boolean;
mod bytea;
mod character;
mod civil;
mod datetime;
pub(crate) mod field;
pub(crate) mod float;
pub(crate) mod int8range;
mod integer;
mod json;
mod literal;
mod macaddr;
mod network;
mod numeric;
mod range;
mod range_literal;
mod text;
mod uuid;

use tokio_postgres::types::{Kind as TypeKind, Type};

use crate::json::{Json, Kind, malformed};
use crate::rejection::{Rejection, SqlState};

pub use array::ArrayOf;
pub use literal::{Shape, Value};
pub use range::Subtype;

pub(crate) use bytea::decode_hex;
pub(crate) use json::encode_built_jsonb;
pub(crate) use text::{check_text, encode_text};

/// How values of a column are encoded.
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
    /// `oid`
    Oid,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`
    Numeric,
    /// `text`, `varchar`, `char(n)`: lengths are left to the table
    Text,
    /// `name`
    Name,
    /// `"char"`
    Char,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `time with time zone`
    Timetz,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `bytea`
    Bytea,
    /// `bit`, `bit varying`: lengths are left to the table
    Bit,
    /// `inet`
    Inet,
    /// `cidr`
    Cidr,
    /// `macaddr`
    Macaddr,
    /// `macaddr8`
    Macaddr8,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `int4range` and its kin
    Range(Subtype),
    /// `int4multirange` and its kin
    Multirange(Subtype),
    /// an array of a type that has an encoder
    Array(ArrayOf),
    /// any type, staged as text: its literal, which the merge casts
    Literal(Shape),
}

impl Encoder {
    /// The encoder for the type of this oid, if there is one.
    pub fn for_type(oid: u32) -> Option<Self> {
        let of = Type::from_oid(oid)?;
        match of.kind() {
            // Arrays to the client library, but not on the wire.
            _ if [Type::INT2_VECTOR, Type::OID_VECTOR].contains(&of) => None,
            TypeKind::Array(element) => Some(Self::Array(ArrayOf {
                element: element_encoder(element)?,
                element_oid: element.oid(),
            })),
            _ => element_encoder(&of).copied(),
        }
    }

    /// Appends a JSON value as one field. `null` is SQL null; a string is the type's input literal,
    /// a number its text; json and jsonb take any value, arrays JSON arrays.
    pub fn encode(self, value: Json<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
        if value.is_null() {
            field::null(out);
            return Ok(());
        }
        match self {
            Self::Json => return json::encode_json(value.text(), out),
            Self::Jsonb => return json::encode_jsonb(value.text(), out),
            Self::Literal(shape) => return encode_text(&shape.literal(value)?, out),
            _ => {}
        }
        match (self, value.kind()?) {
            (Self::Array(array), Kind::Array) => array.encode_json(value, out),
            (Self::Array(array), Kind::String(literal)) => array.encode_literal(&literal, out),
            (Self::Array(_), other) => Err(literal::no_value(&other)),
            (_, Kind::String(literal)) => self.encode_literal(&literal, out),
            (_, Kind::Number(literal)) => self.encode_literal(literal, out),
            (Self::Bool, Kind::Bool(truth)) => {
                field::fixed(&[u8::from(truth)], out);
                Ok(())
            }
            (_, other) => Err(literal::no_value(&other)),
        }
    }

    /// Whether every JSON value is one of the type's.
    fn takes_any_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonb)
    }

    /// Appends the value of which this is the input literal.
    fn encode_literal(self, literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
        match self {
            Self::Bool => return boolean::encode(literal, out),
            Self::Int2 => field::fixed(&integer::parse::<i16>(literal)?.to_be_bytes(), out),
            Self::Int4 => field::fixed(&integer::parse::<i32>(literal)?.to_be_bytes(), out),
            Self::Int8 => field::fixed(&integer::parse::<i64>(literal)?.to_be_bytes(), out),
            Self::Oid => field::fixed(&integer::parse_oid(literal)?.to_be_bytes(), out),
            Self::Float4 => field::fixed(&float::parse_f32(literal)?.to_be_bytes(), out),
            Self::Float8 => field::fixed(&float::parse_f64(literal)?.to_be_bytes(), out),
            Self::Numeric => return numeric::encode(literal, out),
            Self::Text | Self::Literal(_) => return encode_text(literal, out),
            Self::Name => return text::encode_name(literal, out),
            Self::Char => return character::encode(literal, out),
            Self::Uuid => field::fixed(&uuid::parse(literal)?, out),
            Self::Date => field::fixed(&datetime::date(literal)?.to_be_bytes(), out),
            Self::Time => field::fixed(&datetime::time(literal)?.to_be_bytes(), out),
            Self::Timetz => return datetime::encode_timetz(literal, out),
            Self::Timestamp => field::fixed(&datetime::timestamp(literal)?.to_be_bytes(), out),
            Self::Timestamptz => field::fixed(&datetime::timestamptz(literal)?.to_be_bytes(), out),
            Self::Bytea => return bytea::encode(literal, out),
            Self::Bit => return bit::encode(literal, out),
            Self::Inet => return network::encode_inet(literal, out),
            Self::Cidr => return network::encode_cidr(literal, out),
            Self::Macaddr => return macaddr::encode(literal, out),
            Self::Macaddr8 => return macaddr::encode_eight(literal, out),
            Self::Json => return json::encode_json(json::checked(literal)?, out),
            Self::Jsonb => return json::encode_jsonb(json::checked(literal)?, out),
            Self::Range(subtype) => return range::encode(subtype, literal, out),
            Self::Multirange(subtype) => return range::encode_multirange(subtype, literal, out),
            Self::Array(array) => return array.encode_literal(literal, out),
        }
        Ok(())
    }
}

/// The encoder of a type that is no array.
fn element_encoder(of: &Type) -> Option<&'static Encoder> {
    Some(match *of {
        Type::BOOL => &Encoder::Bool,
        Type::INT2 => &Encoder::Int2,
        Type::INT4 => &Encoder::Int4,
        Type::INT8 => &Encoder::Int8,
        Type::OID => &Encoder::Oid,
        Type::FLOAT4 => &Encoder::Float4,
        Type::FLOAT8 => &Encoder::Float8,
        Type::NUMERIC => &Encoder::Numeric,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => &Encoder::Text,
        Type::NAME => &Encoder::Name,
        Type::CHAR => &Encoder::Char,
        Type::UUID => &Encoder::Uuid,
        Type::DATE => &Encoder::Date,
        Type::TIME => &Encoder::Time,
        Type::TIMETZ => &Encoder::Timetz,
        Type::TIMESTAMP => &Encoder::Timestamp,
        Type::TIMESTAMPTZ => &Encoder::Timestamptz,
        Type::BYTEA => &Encoder::Bytea,
        Type::BIT | Type::VARBIT => &Encoder::Bit,
        Type::INET => &Encoder::Inet,
        Type::CIDR => &Encoder::Cidr,
        Type::MACADDR => &Encoder::Macaddr,
        Type::MACADDR8 => &Encoder::Macaddr8,
        Type::JSON => &Encoder::Json,
        Type::JSONB => &Encoder::Jsonb,
        Type::INT4_RANGE => &Encoder::Range(Subtype::Int4),
        Type::INT8_RANGE => &Encoder::Range(Subtype::Int8),
        Type::NUM_RANGE => &Encoder::Range(Subtype::Numeric),
        Type::TS_RANGE => &Encoder::Range(Subtype::Timestamp),
        Type::TSTZ_RANGE => &Encoder::Range(Subtype::Timestamptz),
        Type::DATE_RANGE => &Encoder::Range(Subtype::Date),
        Type::INT4MULTI_RANGE => &Encoder::Multirange(Subtype::Int4),
        Type::INT8MULTI_RANGE => &Encoder::Multirange(Subtype::Int8),
        Type::NUMMULTI_RANGE => &Encoder::Multirange(Subtype::Numeric),
        Type::TSMULTI_RANGE => &Encoder::Multirange(Subtype::Timestamp),
        Type::TSTZMULTI_RANGE => &Encoder::Multirange(Subtype::Timestamptz),
        Type::DATEMULTI_RANGE => &Encoder::Multirange(Subtype::Date),
        _ => return None,
    })
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
