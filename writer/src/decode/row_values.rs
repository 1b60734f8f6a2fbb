//! A JSON object as a row: its members by the target's columns.

use smallvec::SmallVec;

use super::{Op, RowWriter, copy_text};
use crate::catalog::{Catalog, Column, CopyFormat, OnConflict, Target, TargetIndex};
use crate::encode::{Encoder, check_text, field};
use crate::json::{Json, duplicate_key, visit_object};
use crate::rejection::{Rejection, SqlState};

/// One per column of a target. Those of tables with more columns than this are allocated.
pub(super) type PerColumn<T> = SmallVec<[T; 24]>;

/// The members of a JSON object by the position of their column. Used again for the rows of one
/// event.
#[derive(Debug, Default)]
pub(super) struct RowValues<'a> {
    values: PerColumn<Option<Json<'a>>>,
    /// Scratch for `_given`.
    given: PerColumn<i16>,
    /// Scratch for what is encoded only to be checked.
    checked: Vec<u8>,
}

impl<'a> RowValues<'a> {
    /// Reads the object. Columns that it doesn't have, and those that it has twice, are refused.
    pub fn read(&mut self, target: &Target, object: &'a str) -> Result<(), Rejection> {
        let columns = target.columns();
        self.values.clear();
        self.values.resize(columns.len(), None);
        // Producers keep an order: the next member is likely the next column that was named.
        let mut expected = 0;
        visit_object(object, |key, value| {
            let position = find(columns, expected, &key).ok_or_else(|| unknown_column(&key))?;
            if self.values[position].replace(value).is_some() {
                return Err(duplicate_key(&key));
            }
            expected = position + 1;
            Ok(())
        })
    }

    /// A row of these values, by the position of the target's columns.
    pub fn of(values: PerColumn<Option<Json<'a>>>) -> Self {
        Self { values, ..Self::default() }
    }

    /// What was read, by the position of the target's columns; none where one was not named.
    pub fn values_mut(&mut self) -> &mut [Option<Json<'a>>] {
        &mut self.values
    }

    /// What was read, as for [`values_mut`](Self::values_mut), to be kept.
    pub fn into_values(self) -> PerColumn<Option<Json<'a>>> {
        self.values
    }

    /// The first column that was not named.
    pub fn missing<'t>(&self, target: &'t Target) -> Option<&'t Column> {
        let mut columns = target.columns().iter().zip(&self.values);
        columns.find(|(_, value)| value.is_none()).map(|(column, _)| column)
    }

    /// Writes what was read as a row of the target, each value by `encode`, which is not asked
    /// for null keys and columns without value. Of a delete only the key counts. Where a column has
    /// no encoder, the row is one of text, and `encode` only checks the others' values.
    pub fn write(
        &mut self,
        index: TargetIndex,
        target: &Target,
        op: Op,
        rows: &mut RowWriter<'_>,
        encode: impl Fn(Encoder, &Column, Json<'a>, &mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let Self { values, given, checked } = self;
        let some_named = op == Op::Upsert && values.contains(&None);
        given.clear();
        if some_named {
            let named = target.columns().iter().zip(&*values).filter(|(_, value)| value.is_some());
            given.extend(named.map(|(column, _)| column.attnum));
        }
        let given = some_named.then_some(given.as_slice());
        let written = |position: usize, column: &Column| {
            let value = values.get(position).copied().flatten();
            if column.in_key() && value.is_none_or(Json::is_null) {
                return Err(null_key(column));
            }
            Ok(value.filter(|_| op == Op::Upsert || column.in_key()))
        };
        match target.copy_format() {
            CopyFormat::Binary => {
                rows.row(index, target, op, given, |position, column, out| {
                    match (written(position, column)?, column.encoder) {
                        (Some(value), Some(encoder)) => encode(encoder, column, value, out)
                            .map_err(|rejection| in_column(column, rejection)),
                        _ => {
                            field::null(out);
                            Ok(())
                        }
                    }
                })
            }
            CopyFormat::Text => rows.text_row(index, target, op, given, |position, column, out| {
                let Some(value) = written(position, column)?.filter(|value| !value.is_null())
                else {
                    copy_text::put_null(out);
                    return Ok(());
                };
                checked.clear();
                let check = |encoder| encode(encoder, column, value, checked);
                column
                    .encoder
                    .map_or(Ok(()), check)
                    .and_then(|()| column.shape.literal(value))
                    .and_then(|literal| check_text(&literal).map(|()| literal))
                    .map(|literal| copy_text::put(&literal, out))
                    .map_err(|rejection| in_column(column, rejection))
            }),
        }
    }
}

/// The refusal of this column's value.
pub(super) fn in_column(column: &Column, rejection: Rejection) -> Rejection {
    rejection.within(format_args!("column \"{}\"", column.name))
}

/// Encodes a value as its type's input literal, which is what `rows` and `flat` mean.
pub(super) fn as_literal(
    encoder: Encoder,
    _: &Column,
    value: Json<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    encoder.encode(value, out)
}

/// The position of the column of this name, looked for from `expected` on, all around.
fn find(columns: &[Column], expected: usize, name: &str) -> Option<usize> {
    let (before, after) = columns.split_at_checked(expected).unwrap_or((columns, &[]));
    let is_it = |column: &Column| column.name == name;
    match after.iter().position(is_it) {
        Some(position) => Some(before.len() + position),
        None => before.iter().position(is_it),
    }
}

/// The target of this index, if events may name it and ask this of it.
pub(super) fn eligible(
    catalog: &Catalog,
    index: TargetIndex,
    op: Op,
) -> Result<&Target, Rejection> {
    let target = catalog.target(index);
    let refuse = |reason: String| {
        Err(Rejection::new(SqlState::FEATURE_NOT_SUPPORTED, reason).about(target.qualified_name()))
    };
    if let Some(reason) = target.unsupported() {
        return refuse(reason.to_owned());
    }
    if *target.on_conflict() == OnConflict::Resolve {
        return refuse("rows of this target come from its own format only".to_owned());
    }
    if op == Op::Delete && !target.has_key() {
        return refuse("a target without key takes no deletes".to_owned());
    }
    Ok(target)
}

fn unknown_column(name: &str) -> Rejection {
    Rejection::new(SqlState::UNDEFINED_COLUMN, format!("there is no column \"{name}\" to write"))
}

fn null_key(column: &Column) -> Rejection {
    Rejection::new(
        SqlState::NOT_NULL_VIOLATION,
        format!("key column \"{}\" is null or missing", column.name),
    )
}
