//! Format `rows`: an event names its tables.
//!
//! `{"rows": [{"table": "schema.table", "op": "upsert" | "delete", "row": {…}}]}`

use super::row_values::{RowValues, as_literal, eligible};
use super::{Op, RowWriter};
use crate::catalog::Catalog;
use crate::json::{Json, malformed, set_once, utf8, visit_array, visit_object};
use crate::record::Record;
use crate::rejection::{Rejection, SqlState};

/// The format `rows`.
#[derive(Debug, Clone, Copy)]
pub struct Rows;

impl Rows {
    /// Writes the event's rows, in their order.
    pub(super) fn decode(
        self,
        catalog: &Catalog,
        record: &Record<'_>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let payload = record.payload.ok_or_else(|| {
            Rejection::new(SqlState::NULL_VALUE_NOT_ALLOWED, "the message has no value")
        })?;
        let mut list = None;
        visit_object(utf8(payload)?, |key, value| match &*key {
            "rows" => set_once(&mut list, "rows", value),
            other => Err(unknown_key(other)),
        })?;
        let list = list.ok_or_else(|| malformed("key \"rows\" is missing"))?;
        let mut values = RowValues::default();
        visit_array(list.text(), |index, entry| {
            write_entry(catalog, entry, &mut values, rows)
                .map_err(|rejection| rejection.within(format_args!("rows[{index}]")))
        })
    }
}

fn write_entry<'a>(
    catalog: &Catalog,
    entry: Json<'a>,
    values: &mut RowValues<'a>,
    rows: &mut RowWriter<'_>,
) -> Result<(), Rejection> {
    let (mut table, mut op, mut row) = (None, None, None);
    visit_object(entry.text(), |key, value| match &*key {
        "table" => set_once(&mut table, "table", value),
        "op" => set_once(&mut op, "op", value),
        "row" => set_once(&mut row, "row", value),
        other => Err(unknown_key(other)),
    })?;
    let table = table.ok_or_else(|| malformed("key \"table\" is missing"))?.string()?;
    let row = row.ok_or_else(|| malformed("key \"row\" is missing"))?;
    let op = match op {
        None => Op::Upsert,
        Some(op) => match &*op.string()? {
            "upsert" => Op::Upsert,
            "delete" => Op::Delete,
            _ => return Err(malformed("op is neither \"upsert\" nor \"delete\"")),
        },
    };
    let index = catalog.find(&table).ok_or_else(|| {
        Rejection::new(
            SqlState::UNDEFINED_TABLE,
            format!("table \"{table}\" is not a registered target"),
        )
        .about(&table)
    })?;
    let target = eligible(catalog, index, op)?;
    values
        .read(target, row.text())
        .and_then(|()| values.write(index, target, op, rows, as_literal))
        .map_err(|rejection| rejection.about(target.qualified_name()))
}

fn unknown_key(key: &str) -> Rejection {
    malformed(format!("unknown key \"{key}\""))
}
