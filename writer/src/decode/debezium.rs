//! Format `debezium`: change events of Debezium's connectors, as Kafka Connect's JSON converter
//! writes them, with or without their schema.
//!
//! Creates, reads (snapshots) and updates become upserts, deletes become deletes by key. The
//! tombstone after a delete says nothing that the delete didn't, and is passed over.

mod base64_bytes;
mod decimal;
mod envelope;
mod key;
mod placeholder;
mod route;
mod row_schema;
mod schema_cache;
mod temporal;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::sync::Arc;

pub use route::{BadTableRule, TableRule};

use super::row_values::{PerColumn, RowValues, as_literal, eligible, in_column};
use super::{FormatError, Op, RowWriter};
use crate::catalog::{Catalog, Target, TargetIndex};
use crate::json::{Json, utf8};
use crate::record::Record;
use crate::rejection::{Rejection, SqlState};
use envelope::{Change, Envelope, Operation};
use placeholder::Placeholder;
use route::Route;
use row_schema::RowSchema;
use schema_cache::SchemaCache;

/// What Debezium writes for a value that the source's log did not have, unless it is told another
/// word by `unavailable.value.placeholder`.
pub const UNAVAILABLE_VALUE: &str = "__debezium_unavailable_value";

/// What the configuration says of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebeziumConfig {
    /// `schema.table` of the one target, if there is only one.
    pub table: Option<String>,
    /// Where source tables go that don't go into a table of their own name.
    pub tables: Vec<TableRule>,
    /// The placeholder of values that the source's log did not have.
    pub unavailable_value: String,
}

/// The format `debezium`.
#[derive(Debug, Clone)]
pub struct Debezium {
    route: Route,
    placeholder: Placeholder,
    schemas: Arc<SchemaCache>,
}

impl Debezium {
    /// The format for the targets of this catalog.
    pub(super) fn new(config: &DebeziumConfig, catalog: &Catalog) -> Result<Self, FormatError> {
        Ok(Self {
            route: Route::new(config, catalog)?,
            placeholder: Placeholder::new(&config.unavailable_value),
            schemas: Arc::default(),
        })
    }

    /// Writes the rows of a change event.
    pub(super) fn decode(
        &self,
        catalog: &Catalog,
        record: &Record<'_>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let Some(payload) = record.payload else { return Ok(()) };
        let Some(envelope) = Envelope::read(utf8(payload)?)? else { return Ok(()) };
        let change = envelope.change()?;
        let index = self.route.target(catalog, &change.source)?;
        let op = if change.operation == Operation::Delete { Op::Delete } else { Op::Upsert };
        let target = eligible(catalog, index, op)?;
        let schema = envelope.schema.map(|schema| self.schemas.get(schema)).transpose()?;
        let mut event = Event { placeholder: &self.placeholder, record, index, target, schema };
        event.write(&change, rows).map_err(|rejection| rejection.about(target.qualified_name()))
    }
}

/// A change of one target's row.
struct Event<'e> {
    placeholder: &'e Placeholder,
    record: &'e Record<'e>,
    index: TargetIndex,
    target: &'e Target,
    schema: Option<Arc<RowSchema>>,
}

impl Event<'_> {
    fn write(&mut self, change: &Change<'_>, rows: &mut RowWriter<'_>) -> Result<(), Rejection> {
        match change.operation {
            Operation::Create => {
                let (mut after, unavailable) = self.read(change.after()?)?;
                if let Some(column) = unavailable {
                    return Err(value_lost(&column));
                }
                self.write_row(&mut after, Op::Upsert, rows)
            }
            Operation::Update => self.update(change, rows),
            Operation::Delete => {
                let (mut before, _) = self.read(change.before()?)?;
                key::check_named(self.record.key, self.target)?;
                self.write_row(&mut before, Op::Delete, rows)
            }
        }
    }

    /// Debezium splits a change of its own key into a delete and a create. A change of the
    /// target's key, where that is another, is split here.
    fn update(&self, change: &Change<'_>, rows: &mut RowWriter<'_>) -> Result<(), Rejection> {
        let (mut after, unavailable) = self.read(change.after()?)?;
        if let Some(before) = change.before {
            let (mut before, _) = self.read(before)?;
            if key::differs(self.target, &mut before, &mut after) {
                key::check_named(self.record.key, self.target)?;
                if let Some(column) = unavailable {
                    return Err(value_lost(&column));
                }
                self.write_row(&mut before, Op::Delete, rows)?;
            }
        }
        self.write_row(&mut after, Op::Upsert, rows)
    }

    /// The members of `before` or `after`, without those that hold the placeholder; and the name
    /// of the first of these.
    fn read<'a>(&self, object: Json<'a>) -> Result<(RowValues<'a>, Option<String>), Rejection> {
        let mut values = RowValues::default();
        values.read(self.target, object.text())?;
        let mut unavailable = None;
        for (column, value) in self.target.columns().iter().zip(values.values_mut()) {
            if value.is_some_and(|value| self.placeholder.is(value)) {
                *value = None;
                unavailable.get_or_insert_with(|| column.name.clone());
            }
        }
        Ok((values, unavailable))
    }

    fn write_row(
        &self,
        values: &mut RowValues<'_>,
        op: Op,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let (schema, columns) = (self.schema.as_deref(), self.target.columns());
        let mut texts: PerColumn<Option<Cow<'_, str>>> = PerColumn::new();
        for (column, value) in columns.iter().zip(values.values_mut().iter()) {
            // What else stands in the row of a delete says nothing.
            let value = value.filter(|_| op == Op::Upsert || column.in_key());
            let text = value.map(|value| value::read(schema, column, value)).transpose();
            texts.push(text.map_err(|rejection| in_column(column, rejection))?);
        }
        let mut values = PerColumn::new();
        for (column, text) in columns.iter().zip(&texts) {
            let json = text.as_deref().map(Json::read).transpose();
            values.push(json.map_err(|rejection| in_column(column, rejection))?);
        }
        RowValues::of(values).write(self.index, self.target, op, rows, as_literal)
    }
}

/// A new row can't do without a value, and what the old row has is known by its key alone.
fn value_lost(column: &str) -> Rejection {
    Rejection::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "column \"{column}\": the source's log did not have this value, and the row is a new \
             one (its key was changed); set the source table's replica identity to full"
        ),
    )
}
