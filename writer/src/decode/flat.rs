//! Format `flat`: the message is the row, a JSON object. A null value deletes the row whose key
//! the message's key is, a JSON object of the key columns.

use super::row_values::{RowValues, as_literal, eligible};
use super::{FormatError, Op, RowWriter};
use crate::catalog::{Catalog, OnConflict, TargetIndex};
use crate::json::utf8;
use crate::record::Record;
use crate::rejection::{Rejection, SqlState};

/// The format `flat` into one table.
#[derive(Debug, Clone)]
pub struct Flat {
    target: TargetIndex,
}

impl Flat {
    /// The format for `schema.table`.
    pub(super) fn new(table: &str, catalog: &Catalog) -> Result<Self, FormatError> {
        let index =
            catalog.find(table).ok_or_else(|| FormatError::UnknownTarget(table.to_owned()))?;
        let target = catalog.target(index);
        let reason = match target.on_conflict() {
            OnConflict::Resolve => Some("rows of this target come from its own format only"),
            _ => target.unsupported(),
        };
        match reason {
            Some(reason) => Err(FormatError::Unsupported {
                target: table.to_owned(),
                reason: reason.to_owned(),
            }),
            None => Ok(Self { target: index }),
        }
    }

    /// Writes the message's row.
    pub(super) fn decode(
        &self,
        catalog: &Catalog,
        record: &Record<'_>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let (op, object) = match (record.payload, record.key) {
            (Some(payload), _) => (Op::Upsert, payload),
            (None, Some(key)) => (Op::Delete, key),
            (None, None) => {
                return Err(Rejection::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "a message without value deletes by its key, and this one has none",
                )
                .about(catalog.target(self.target).qualified_name()));
            }
        };
        let target = eligible(catalog, self.target, op)?;
        let mut values = RowValues::default();
        utf8(object)
            .and_then(|object| values.read(target, object))
            .and_then(|()| values.write(self.target, target, op, rows, as_literal))
            .map_err(|rejection| rejection.about(target.qualified_name()))
    }
}
