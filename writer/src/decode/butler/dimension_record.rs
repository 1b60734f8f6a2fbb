//! Dimension records: rows of their elements' tables, in the strict types of the serialised form.

use super::region::{encode_hash, encode_region};
use super::repository::Repository;
use super::required;
use super::timespan::timespan;
use crate::catalog::{Catalog, Column};
use crate::decode::row_values::RowValues;
use crate::decode::{Op, RowWriter};
use crate::encode::{Encoder, Subtype, field, float};
use crate::json::{Json, Kind, malformed, set_once, visit_array, visit_object};
use crate::rejection::{Rejection, SqlState};

/// Writes the event's dimension records, in their order.
pub(super) fn write_all(
    catalog: &Catalog,
    repository: &Repository,
    records: Json<'_>,
    rows: &mut RowWriter<'_>,
) -> Result<(), Rejection> {
    let mut values = RowValues::default();
    visit_array(records.text(), |index, record| {
        write_one(catalog, repository, record, &mut values, rows)
            .map_err(|rejection| rejection.within(format_args!("dimension_records[{index}]")))
    })
}

fn write_one<'a>(
    catalog: &Catalog,
    repository: &Repository,
    record: Json<'a>,
    values: &mut RowValues<'a>,
    rows: &mut RowWriter<'_>,
) -> Result<(), Rejection> {
    let (mut definition, mut record_of) = (None, None);
    visit_object(record.text(), |key, value| match &*key {
        "definition" => set_once(&mut definition, "definition", value),
        "record" => set_once(&mut record_of, "record", value),
        _ => Ok(()),
    })?;
    let element = required(definition, "definition")?.string()?;
    let record = required(record_of, "record")?;
    let index = repository.element(&element).ok_or_else(|| unknown_element(&element))?;
    let target = catalog.target(index);
    let is_skymap = element == "skymap";
    let mut write = || {
        values.read(target, record.text())?;
        if let Some(column) = values.missing(target) {
            return Err(malformed(format!("key \"{}\" is missing", column.name)));
        }
        values.write(index, target, Op::Upsert, rows, |encoder, column, value, out| {
            encode_strictly(encoder, column, is_skymap, value, out)
        })
    };
    write().map_err(|rejection| rejection.about(target.qualified_name()))
}

/// Encodes a value that must be of just the JSON type that its column's type is written as.
fn encode_strictly(
    encoder: Encoder,
    column: &Column,
    is_skymap: bool,
    value: Json<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let kind = value.kind()?;
    match (encoder, &kind) {
        (_, Kind::Null) => field::null(out),
        (Encoder::Text, Kind::String(hex)) if column.name == "region" => {
            return encode_region(hex, out);
        }
        (Encoder::Text, Kind::String(hex)) if is_skymap && column.name == "hash" => {
            return encode_hash(hex, out);
        }
        (Encoder::Text, Kind::String(_)) | (Encoder::Bool, Kind::Bool(_)) => {
            return encoder.encode(value, out);
        }
        (Encoder::Int2 | Encoder::Int4 | Encoder::Int8, Kind::Number(number))
            if !number.contains(['.', 'e', 'E']) =>
        {
            return encoder.encode(value, out);
        }
        // Adding zero makes −0 into 0, as the official client stores it.
        (Encoder::Float8, Kind::Number(number)) => {
            field::fixed(&(float::parse_f64(number)? + 0.0).to_be_bytes(), out);
        }
        (Encoder::Float4, Kind::Number(number)) => {
            field::fixed(&(float::parse_f32(number)? + 0.0).to_be_bytes(), out);
        }
        (Encoder::Range(Subtype::Int8), Kind::Array) => timespan(value)?.encode(out),
        _ => return Err(malformed(format!("{kind} is no value of type {}", column.type_name))),
    }
    Ok(())
}

fn unknown_element(element: &str) -> Rejection {
    let is_level_of = |system| {
        element.strip_prefix(system).is_some_and(|level: &str| {
            !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    if element == "band" || is_level_of("htm") || is_level_of("healpix") {
        return Rejection::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("dimension {element} has no table, and so no records"),
        );
    }
    Rejection::new(
        SqlState::UNDEFINED_TABLE,
        format!("dimension element {element:?} has no registered table"),
    )
}
