//! A stream, as data.

use std::fmt::{self, Debug, Formatter};

use serde_json::{Value as Json, json};

use crate::schema::{Schema, literal, quoted};

/// The atomic unit: all of its rows, or none.
#[derive(Clone)]
pub struct Event {
    pub rows: Vec<Row>,
}

/// A row of an event.
#[derive(Clone)]
pub struct Row {
    /// The place of its table.
    pub table: usize,
    pub delete: bool,
    /// A value per column; `None` where the event does not name the column.
    pub values: Vec<Option<Value>>,
    /// If it names all columns, it says so, and does not list them.
    pub says_all: bool,
}

/// A literal; `None` is null.
pub type Value = Option<String>;

impl Row {
    /// The row as the reference reads it.
    pub fn for_reference(&self, schema: &Schema) -> Json {
        let columns = &schema.tables[self.table].columns;
        let values: serde_json::Map<_, _> = columns
            .iter()
            .zip(&self.values)
            .filter_map(|(column, value)| Some((quoted(&column.name), json!(value.as_ref()?))))
            .collect();
        json!({ "table": self.table, "delete": self.delete, "values": values })
    }

    /// The row as it is staged, after its event and row number.
    pub fn for_staging(&self, schema: &Schema, event: usize, number: usize) -> String {
        let table = &schema.tables[self.table];
        let staged: Vec<_> = table.staged().map(|(place, _)| place).collect();
        let names_all = staged.iter().all(|place| self.values[*place].is_some());
        let given = if self.says_all && (self.delete || names_all) {
            "null".to_owned()
        } else {
            let named = staged.iter().filter(|place| self.values[**place].is_some());
            let numbers: Vec<_> = named.map(|place| (place + 1).to_string()).collect();
            format!("'{{{}}}'", numbers.join(","))
        };
        let values = staged.iter().map(|place| self.values[*place].as_ref());
        let values: Vec<_> =
            values.map(|value| literal(value.and_then(Option::as_deref))).collect();
        let op = if self.delete { 'd' } else { 'u' };
        let separator = if values.is_empty() { "" } else { ", " };
        format!(
            "(pg_current_xact_id(), {event}, {number}, '{op}', {given}{separator}{})",
            values.join(", ")
        )
    }
}

impl Debug for Event {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        self.rows.fmt(formatter)
    }
}

impl Debug for Row {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        let op = if self.delete { "delete from" } else { "upsert into" };
        write!(formatter, "{op} {}:", self.table)?;
        for value in &self.values {
            match value {
                None => write!(formatter, " -")?,
                Some(None) => write!(formatter, " null")?,
                Some(Some(literal)) => write!(formatter, " {literal}")?,
            }
        }
        Ok(())
    }
}
