//! What the tests of decoding share: targets, records, and a reader of binary COPY.

mod butler;

use tokio_postgres::types::Type;

use crate::catalog::{Catalog, Column, OnConflict, Target};
use crate::decode::{DebeziumConfig, Format, FormatConfig, UNAVAILABLE_VALUE};
use crate::event_batch::EventBatch;
use crate::position::{Offset, Partition, Topic};
use crate::record::Record;

pub use butler::{butler, butler_catalog, butler_event, butler_region, sample};

/// A target `schema.table` of these columns, which are numbered from 1.
pub fn target(name: &str, key: &[&str], on_conflict: &str, columns: &[(&str, Type)]) -> Target {
    let (schema, table) = name.split_once('.').unwrap();
    let key: Vec<String> = key.iter().map(|column| (*column).to_owned()).collect();
    let columns = columns.iter().enumerate().map(|(index, (name, of))| {
        Column::new(index as i16 + 1, *name, of.oid(), -1, of.name(), key.contains(&(*name).into()))
    });
    // The hash of the name stands for the oid.
    let relation = name.bytes().fold(7u32, |oid, byte| oid.wrapping_mul(31) + u32::from(byte));
    let policy = OnConflict::from(on_conflict);
    Target::new(relation, schema, table, &key, policy, columns.collect())
}

/// A catalog of three plain targets.
pub fn plain_catalog() -> Catalog {
    Catalog::new(vec![
        target(
            "public.sensor",
            &["sensor", "ts"],
            "update",
            &[
                ("sensor", Type::INT4),
                ("ts", Type::TIMESTAMPTZ),
                ("value", Type::FLOAT8),
                ("note", Type::TEXT),
            ],
        ),
        target("public.log", &[], "append", &[("line", Type::TEXT), ("data", Type::JSONB)]),
        target("public.place", &["id"], "update", &[("id", Type::INT4), ("at", Type::POINT)]),
        target("forebay.butler_ref", &[], "resolve", &[("id", Type::UUID)]),
    ])
}

/// The format `flat` into `public.sensor`.
pub fn flat(catalog: &Catalog) -> Format {
    Format::new(&FormatConfig::Flat { table: "public.sensor".into() }, catalog).unwrap()
}

/// The format `debezium` into tables of the source's names.
pub fn debezium(catalog: &Catalog) -> Format {
    let unavailable_value = UNAVAILABLE_VALUE.to_owned();
    let config = DebeziumConfig { table: None, tables: Vec::new(), unavailable_value };
    Format::new(&FormatConfig::Debezium(config), catalog).unwrap()
}

/// A batch with the one event that has this payload.
pub fn decode(format: &Format, catalog: &Catalog, payload: &[u8]) -> EventBatch {
    decode_keyed(format, catalog, None, Some(payload))
}

/// A batch with the one event that has this key and payload.
pub fn decode_keyed(
    format: &Format,
    catalog: &Catalog,
    key: Option<&[u8]>,
    payload: Option<&[u8]>,
) -> EventBatch {
    let mut batch = EventBatch::new();
    let topic = Topic::from("t");
    batch.push(&record(&topic, 0, 0, key, payload), format, catalog);
    batch.seal();
    batch
}

/// A record without headers.
pub fn record<'a>(
    topic: &'a Topic,
    partition: i32,
    offset: i64,
    key: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
) -> Record<'a> {
    Record {
        topic,
        partition: Partition(partition),
        offset: Offset(offset),
        timestamp_ms: Some(1000 + offset),
        key,
        payload,
        headers: Vec::new(),
    }
}

/// The SQLSTATE with which the batch's one event was rejected; "" if it wasn't.
pub fn sqlstate(batch: &EventBatch) -> &'static str {
    batch.rejections().next().map_or("", |(_, rejection)| rejection.sqlstate.as_str())
}

/// A row that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedRow {
    pub batch: u64,
    pub event: i32,
    pub row: i32,
    pub op: u8,
    pub given: Option<Vec<i16>>,
    pub fields: Vec<Option<Vec<u8>>>,
}

/// The rows of a target, read from its COPY.
pub fn copied(batch: &EventBatch, catalog: &Catalog, target: &str) -> Vec<CopiedRow> {
    let target = catalog.find(target).unwrap();
    let mut bytes = Vec::new();
    for chunk in batch.copy_chunks(&batch.rows_of(target), 77) {
        bytes.extend_from_slice(&chunk);
    }
    read_copy(&bytes)
}

/// Reads a whole binary COPY. Panics on any fault in it.
pub fn read_copy(bytes: &[u8]) -> Vec<CopiedRow> {
    let mut rest = bytes.strip_prefix(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0").expect("header");
    let mut rows = Vec::new();
    loop {
        let fields = i16::from_be_bytes(take(&mut rest));
        if fields == -1 {
            assert!(rest.is_empty(), "bytes after the trailer");
            return rows;
        }
        let mut fields: Vec<_> = (0..fields).map(|_| field(&mut rest)).collect();
        let payload = fields.split_off(5);
        let leading = |index: usize| fields[index].clone().unwrap();
        rows.push(CopiedRow {
            batch: u64::from_be_bytes(leading(0).try_into().unwrap()),
            event: i32::from_be_bytes(leading(1).try_into().unwrap()),
            row: i32::from_be_bytes(leading(2).try_into().unwrap()),
            op: u8::from_be_bytes(leading(3).try_into().unwrap()),
            given: fields[4].as_deref().map(int2_array),
            fields: payload,
        });
    }
}

fn field(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = i32::from_be_bytes(take(rest));
    if length == -1 {
        return None;
    }
    let (field, after) = rest.split_at(length.try_into().unwrap());
    *rest = after;
    Some(field.to_vec())
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, after) = rest.split_first_chunk().expect("truncated");
    *rest = after;
    *taken
}

fn int2_array(mut rest: &[u8]) -> Vec<i16> {
    let dimensions = i32::from_be_bytes(take(&mut rest));
    assert_eq!(i32::from_be_bytes(take(&mut rest)), 0, "has nulls");
    assert_eq!(u32::from_be_bytes(take(&mut rest)), Type::INT2.oid());
    if dimensions == 0 {
        assert!(rest.is_empty());
        return Vec::new();
    }
    let length = i32::from_be_bytes(take(&mut rest));
    assert_eq!(i32::from_be_bytes(take(&mut rest)), 1, "lower bound");
    let elements = (0..length).map(|_| field(&mut rest).unwrap());
    let elements = elements.map(|bytes| i16::from_be_bytes(bytes.try_into().unwrap())).collect();
    assert!(rest.is_empty());
    elements
}
