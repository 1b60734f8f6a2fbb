//! One registered target.

use super::Column;
use crate::event_batch::KeyPrefix;

/// What happens to a staged row whose key is taken: `forebay.target.on_conflict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnConflict {
    /// The row is updated.
    Update,
    /// The row stays.
    Ignore,
    /// The row stays if it is the same, else the event is rejected.
    Identical,
    /// There is no key: rows are added.
    Append,
    /// Rows are only staged; a format turns them into rows of other targets.
    Resolve,
    /// A policy that this writer doesn't know; the merge decides.
    Other(String),
}

impl From<&str> for OnConflict {
    fn from(policy: &str) -> Self {
        match policy {
            "update" => Self::Update,
            "ignore" => Self::Ignore,
            "identical" => Self::Identical,
            "append" => Self::Append,
            "resolve" => Self::Resolve,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The format of a COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// Values as the writer encodes them.
    Binary,
    /// Literals, which the database parses.
    Text,
}

/// A registered target and its columns.
#[derive(Debug, Clone)]
pub struct Target {
    relation: u32,
    schema: String,
    name: String,
    qualified_name: String,
    on_conflict: OnConflict,
    columns: Vec<Column>,
    copy_format: CopyFormat,
    unsupported: Option<String>,
}

impl Target {
    /// The target `schema.name` with this key. Columns are taken in the order of their numbers.
    pub fn new(
        relation: u32,
        schema: impl Into<String>,
        name: impl Into<String>,
        key: &[String],
        on_conflict: OnConflict,
        mut columns: Vec<Column>,
    ) -> Self {
        let (schema, name) = (schema.into(), name.into());
        columns.sort_by_key(|column| column.attnum);
        for column in &mut columns {
            column.key_place = key.iter().position(|key| *key == column.name);
        }
        let missing_key = key.iter().find(|key| !columns.iter().any(|column| column.name == **key));
        let unsupported = missing_key
            .map(|key| format!("key column \"{key}\" is not a column that can be written"));
        let qualified_name = format!("{schema}.{name}");
        let needs_text = columns.iter().any(|column| column.encoder.is_none());
        let copy_format = if needs_text { CopyFormat::Text } else { CopyFormat::Binary };
        Self {
            relation,
            schema,
            name,
            qualified_name,
            on_conflict,
            columns,
            copy_format,
            unsupported,
        }
    }

    /// The oid of the table.
    pub fn relation(&self) -> u32 {
        self.relation
    }

    /// The name of the table's schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The table's name, without its schema.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `schema.table`, without quotes: for messages and look-ups, not for SQL.
    pub fn qualified_name(&self) -> &str {
        &self.qualified_name
    }

    /// What happens to a row whose key is taken.
    pub fn on_conflict(&self) -> &OnConflict {
        &self.on_conflict
    }

    /// The columns that events can name, by number.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether rows can be told apart, and so deleted, by key.
    pub fn has_key(&self) -> bool {
        self.columns.iter().any(Column::in_key)
    }

    /// Why rows of this target cannot be written, if they can't.
    pub fn unsupported(&self) -> Option<&str> {
        self.unsupported.as_deref()
    }

    /// How rows of this target are copied: as text, all of them, if one column has no encoder.
    pub fn copy_format(&self) -> CopyFormat {
        self.copy_format
    }

    /// Whether rows that are copied together are copied in the order of their keys.
    pub fn is_copied_in_key_order(&self) -> bool {
        let key = self.columns.iter().filter(|column| column.in_key());
        self.copy_format == CopyFormat::Binary
            && KeyPrefix::is_the_order_of(key.map(|column| column.encoder))
    }

    /// The column list of the COPY into this target's staging table, quoted.
    pub fn copy_columns(&self) -> String {
        let mut list = String::from("_batch, _event, _row, _op, _given");
        for column in &self.columns {
            list.push_str(", ");
            list.push('"');
            list.push_str(&column.name.replace('"', "\"\""));
            list.push('"');
        }
        list
    }
}
