//! Dimension records: rows of their elements' tables, in the strict types of the serialised form, and
//! the pixels that their regions overlap.

use std::collections::HashMap;

use super::envelopes::Envelopes;
use super::not_finite;
use super::region::encode_hash;
use super::repository::{ElementTargets, Repository};
use super::required;
use super::timespan::timespan;
use crate::catalog::{Catalog, Column, TargetIndex};
use crate::decode::row_values::{PerColumn, RowValues};
use crate::decode::{Op, RowWriter};
use crate::encode::{Encoder, Subtype, encode_text, field, float};
use crate::json::{Json, Kind, malformed, set_once, visit_array, visit_object};
use crate::rejection::{Rejection, SqlState};
use crate::sphgeom::{Effort, Region};

/// The pixels that overlaps are stored in.
const SKYPIX_SYSTEM: &str = "htm";
pub(super) const SKYPIX_LEVEL: u8 = 7;

/// A record that is to be written.
struct Record<'a, 'r> {
    index: usize,
    element: &'r ElementTargets,
    is_skymap: bool,
    values: PerColumn<Option<Json<'a>>>,
}

/// Writes the event's dimension records. Of several with the same key the last one counts, as for
/// the official client.
pub(super) fn write_all(
    catalog: &Catalog,
    repository: &Repository,
    envelopes: &Envelopes,
    records: Json<'_>,
    rows: &mut RowWriter<'_>,
) -> Result<(), Rejection> {
    let mut kept: Vec<Option<Record<'_, '_>>> = Vec::new();
    let mut places: HashMap<(TargetIndex, Vec<&str>), usize> = HashMap::new();
    visit_array(records.text(), |index, record| {
        let record = read(catalog, repository, index, record)
            .map_err(|rejection| rejection.within(format_args!("dimension_records[{index}]")))?;
        let key = (record.element.records, record.key());
        if let Some(earlier) = places.insert(key, kept.len()) {
            kept[earlier] = None;
        }
        kept.push(Some(record));
        Ok(())
    })?;
    let mut effort = Effort::default();
    for record in kept.into_iter().flatten() {
        let index = record.index;
        record
            .write(catalog, envelopes, &mut effort, rows)
            .map_err(|rejection| rejection.within(format_args!("dimension_records[{index}]")))?;
    }
    Ok(())
}

fn read<'a, 'r>(
    catalog: &Catalog,
    repository: &'r Repository,
    index: usize,
    record: Json<'a>,
) -> Result<Record<'a, 'r>, Rejection> {
    let (mut definition, mut record_of) = (None, None);
    visit_object(record.text(), |key, value| match &*key {
        "definition" => set_once(&mut definition, "definition", value),
        "record" => set_once(&mut record_of, "record", value),
        _ => Ok(()),
    })?;
    let name = required(definition, "definition")?.string()?;
    let record = required(record_of, "record")?;
    let element = repository.element(&name).ok_or_else(|| unknown_element(repository, &name))?;
    let target = catalog.target(element.records);
    let mut values = RowValues::default();
    values.read(target, record.text()).map_err(|error| error.about(target.qualified_name()))?;
    if let Some(column) = values.missing(target) {
        let missing = malformed(format!("key \"{}\" is missing", column.name));
        return Err(missing.about(target.qualified_name()));
    }
    let is_skymap = name == "skymap";
    Ok(Record { index, element, is_skymap, values: values.into_values() })
}

impl<'a> Record<'a, '_> {
    fn key(&self) -> Vec<&'a str> {
        let positions = self.element.key.iter().map(|(_, position)| *position);
        positions.filter_map(|position| self.values[position]).map(|value| value.text()).collect()
    }

    fn write(
        self,
        catalog: &Catalog,
        envelopes: &Envelopes,
        effort: &mut Effort,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let target = catalog.target(self.element.records);
        let is_skymap = self.is_skymap;
        RowValues::of(self.values.clone())
            .write(self.element.records, target, Op::Upsert, rows, |encoder, column, value, out| {
                encode_strictly(encoder, column, is_skymap, value, out)
            })
            .map_err(|rejection| rejection.about(target.qualified_name()))?;
        for summary in &self.element.summaries {
            self.write_pixel(*summary, None, catalog, rows)?;
        }
        if let Some((overlap, region)) = self.element.overlap
            && let Some(region) = self.values[region]
            && let Kind::String(hex) = region.kind()?
        {
            if self.element.has_other_overlaps {
                return Err(other_overlaps().about(target.qualified_name()));
            }
            envelopes.visit_pixels(&hex, effort, |pixel| {
                self.write_pixel(overlap, Some(pixel), catalog, rows)
            })?;
        }
        Ok(())
    }

    /// Writes a row of a table of overlaps, or, without a pixel, of a summary of such.
    fn write_pixel(
        &self,
        index: TargetIndex,
        pixel: Option<u64>,
        catalog: &Catalog,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        rows.row(index, catalog.target(index), Op::Upsert, None, |_, column, out| {
            match (column.name.as_str(), pixel) {
                ("skypix_system", _) => return encode_text(SKYPIX_SYSTEM, out),
                ("skypix_level", _) => encode_integer(column, SKYPIX_LEVEL.into(), out),
                ("skypix_index", Some(pixel)) => encode_integer(column, pixel, out),
                (dimension, _) => {
                    let key = self.element.key.iter().find(|(name, _)| name == dimension);
                    let value = key.and_then(|(_, position)| self.values[*position]);
                    let (Some(value), Some(encoder)) = (value, column.encoder) else {
                        return Err(malformed(format!("no value for column \"{dimension}\"")));
                    };
                    return encode_strictly(encoder, column, false, value, out);
                }
            }
            Ok(())
        })
    }
}

fn encode_integer(column: &Column, value: u64, out: &mut Vec<u8>) {
    match column.encoder {
        Some(Encoder::Int2) => field::fixed(&(value as i16).to_be_bytes(), out),
        Some(Encoder::Int4) => field::fixed(&(value as i32).to_be_bytes(), out),
        _ => field::fixed(&value.to_be_bytes(), out),
    }
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
            return encode_text(&Region::decode_hex(hex)?.encoded_base64(), out);
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
            let value = not_finite::meaning(number);
            let value = value.map_or_else(|| float::parse_f64(number), Ok)?;
            field::fixed(&(value + 0.0).to_be_bytes(), out);
        }
        (Encoder::Float4, Kind::Number(number)) => {
            let value = not_finite::meaning(number).map(|value| value as f32);
            let value = value.map_or_else(|| float::parse_f32(number), Ok)?;
            field::fixed(&(value + 0.0).to_be_bytes(), out);
        }
        (Encoder::Range(Subtype::Int8), Kind::Array) => timespan(value)?.encode(out),
        _ => return Err(malformed(format!("{kind} is no value of type {}", column.type_name))),
    }
    Ok(())
}

/// Nothing would write these overlaps, and the client's queries rely on them (BUTLER.md, A14).
fn other_overlaps() -> Rejection {
    Rejection::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "the repository's regions here have overlaps with other pixels than \
             {SKYPIX_SYSTEM}{SKYPIX_LEVEL}, which Forebay does not compute"
        ),
    )
}

fn unknown_element(repository: &Repository, element: &str) -> Rejection {
    if repository.universe().element(element).is_some() {
        return Rejection::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("dimension {element} has no table, and so no records"),
        );
    }
    Rejection::new(
        SqlState::UNDEFINED_TABLE,
        format!("{element:?} is no dimension element of this repository"),
    )
}
