//! The table of a scenario, which is also the target; and what its rows are made of.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{
    file,
    row::Row,
    value::{ColumnType, Value},
};

/// 2026-01-01T00:00:00Z, in seconds since 1970: where times begin.
const START: u64 = 1_767_225_600;

/// A file of `bench/tables`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// In the schema `public`.
    pub name: String,
    /// The columns of its primary key.
    pub key: Vec<String>,
    /// Statements that make it in a new database, and what it refers to.
    pub create: String,
    /// All that are written, in the order of the table's own.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ColumnType,
    values: Values,
}

/// What a column's values are made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Values {
    /// The row's number modulo this.
    Cycle(u64),
    /// One more, or a second later, every so many rows.
    Every(u64),
    /// A random number below this; one of floating point has three decimals.
    Random(u64),
    /// A text in which `{}` stands for ten random hexadecimal digits.
    Words(String),
    /// So many equal characters.
    Repeat(usize),
}

impl Table {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let table: Self = file::read(path)?;
        table.check().with_context(|| path.display().to_string())?;
        Ok(table)
    }

    fn check(&self) -> Result<()> {
        for name in self.columns.iter().map(|column| &column.name).chain([&self.name]) {
            let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
            let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            ensure!(first && name.chars().all(rest), "name: `{name}` has more than a-z, 0-9 and _");
        }
        for column in &self.columns {
            column.check().with_context(|| format!("columns: `{}`", column.name))?;
        }
        let (mut cycle, mut every) = (1, u64::MAX);
        for name in &self.key {
            let column = self.columns.iter().find(|column| column.name == *name);
            match column.with_context(|| format!("key: there is no column `{name}`"))?.values {
                Values::Cycle(count) => cycle = cycle.max(count),
                Values::Every(count) => every = every.min(count),
                _ => anyhow::bail!("key: the values of `{name}` are neither `cycle` nor `every`"),
            }
        }
        ensure!(
            every <= cycle,
            "key: rows are not distinct: one column of it must have values `every = 1`, or \
             `every = N` beside another with `cycle = N` or more"
        );
        Ok(())
    }

    /// The places of the columns of the key, in its order.
    pub fn key_places(&self) -> Vec<usize> {
        let place = |name: &String| self.columns.iter().position(|column| column.name == *name);
        self.key.iter().filter_map(place).collect()
    }

    /// Those that are not of the key.
    pub fn other_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !self.key.contains(&column.name))
    }

    /// The names of its columns, as SQL lists them.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
        names.join(", ")
    }

    /// The values of a row, in the columns' order.
    pub fn values(&self, row: Row) -> Vec<Value> {
        let columns = self.columns.iter().enumerate();
        columns.map(|(place, column)| column.value(row, place)).collect()
    }

    /// A row as a JSON event; some columns with other values, which are JSON already.
    pub fn json(&self, row: Row, replace: &BTreeMap<String, String>) -> String {
        let mut json = String::with_capacity(128);
        for (column, value) in self.columns.iter().zip(self.values(row)) {
            json.push_str(if json.is_empty() { "{\"" } else { ", \"" });
            json.push_str(&column.name);
            json.push_str("\": ");
            match replace.get(&column.name) {
                Some(other) => json.push_str(other),
                None => value.write_json(&mut json),
            }
        }
        json.push('}');
        json
    }

    /// The schema that Kafka Connect is to read the events with.
    pub fn connect_schema(&self) -> String {
        let field = |column: &Column| {
            let (name, kind) = (&column.name, column.kind.connect());
            let optional = !self.key.contains(name);
            format!(r#"{{"field":"{name}",{kind},"optional":{optional}}}"#)
        };
        let fields: Vec<_> = self.columns.iter().map(field).collect();
        format!(r#"{{"type":"struct","optional":false,"fields":[{}]}}"#, fields.join(","))
    }
}

impl Column {
    fn check(&self) -> Result<()> {
        use ColumnType::{Float8, Int4, Int8, Text, Timestamptz};
        let fits: &[ColumnType] = match &self.values {
            Values::Cycle(count) | Values::Random(count) => {
                let range = 1..=i32::MAX as u64;
                ensure!(range.contains(count), "values: {count} is not in {range:?}");
                if matches!(self.values, Values::Cycle(_)) {
                    &[Int4, Int8]
                } else {
                    &[Int4, Int8, Float8]
                }
            }
            Values::Every(count) => {
                ensure!(*count > 0, "values: every 0 rows");
                &[Int4, Int8, Timestamptz]
            }
            Values::Words(words) => {
                let plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
                ensure!(words.chars().all(plain), "values: words that JSON would escape");
                &[Text]
            }
            Values::Repeat(_) => &[Text],
        };
        ensure!(fits.contains(&self.kind), "values: not for the type {:?}", self.kind);
        Ok(())
    }

    fn value(&self, row: Row, place: usize) -> Value {
        match &self.values {
            Values::Cycle(count) => self.number(row.number % count),
            Values::Every(count) => self.number(row.number / count),
            Values::Random(count) if self.kind == ColumnType::Float8 => {
                Value::Float8((row.random(place) % (count * 1000)) as f64 / 1000.0)
            }
            Values::Random(count) => self.number(row.random(place) % count),
            Values::Words(words) => {
                let digits = format!("{:010x}", row.random(place) & 0xff_ffff_ffff);
                Value::Text(words.replace("{}", &digits))
            }
            Values::Repeat(count) => Value::Text("-".repeat(*count)),
        }
    }

    /// A number below 2³¹.
    fn number(&self, number: u64) -> Value {
        match self.kind {
            ColumnType::Int4 => Value::Int4(number as i32),
            ColumnType::Timestamptz => Value::Time(START + number),
            _ => Value::Int8(number as i64),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use std::path::Path;

    use super::Table;
    use crate::{file, row::Row};

    /// The table of most scenarios.
    pub fn sensor() -> Table {
        Table::load(&file::folder().join("tables/sensor.toml")).unwrap()
    }

    fn refused(text: &str) -> String {
        let read = toml::from_str::<Table>(text).map_err(anyhow::Error::from);
        let error = read.and_then(|table| table.check()).unwrap_err();
        format!("{error:#}")
    }

    #[test]
    fn a_row_is_json() {
        let table = sensor();
        let row = Row::new(12_345);
        let json = table.json(row, &[("value".to_owned(), "-1".to_owned())].into());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["sensor"], &json["value"]), (&345.into(), &(-1).into()));
        assert_eq!(json["ts"], "2026-01-01T00:00:12Z");
        let note = json["note"].as_str().unwrap();
        assert!(
            note.starts_with("reading ") && note.len() == "reading 0123456789 of the day".len()
        );
    }

    #[test]
    fn other_versions_have_the_same_key_and_other_values() {
        let table = sensor();
        let [one, other] = [0, 1].map(|version| table.values(Row { number: 7, version }));
        assert_eq!(one[..2], other[..2]);
        assert!(one[2] != other[2] && one[3] != other[3]);
    }

    #[test]
    fn what_can_not_be_made_is_refused() {
        let table = |key: &str, kind: &str, values: &str| {
            format!(
                "name = 't'\nkey = [{key}]\ncreate = ''\n\
                 [[columns]]\nname = 'a'\ntype = '{kind}'\nvalues = {{ {values} }}"
            )
        };
        for (text, expected) in [
            (table("'b'", "int4", "every = 1"), "key: there is no column `b`"),
            (table("'a'", "int4", "every = 2"), "key: rows are not distinct"),
            (table("'a'", "int4", "random = 2"), "key: the values of `a` are neither"),
            (table("'a'", "text", "every = 1"), "columns: `a`: values: not for the type Text"),
            (table("'a'", "int4", "cycle = 0"), "0 is not in 1..=2147483647"),
            (table("'a'", "int4", "never = 1"), "unknown variant `never`, expected one of `cycle`"),
            (table("'a'", "int", "every = 1"), "unknown variant `int`, expected one of `int4`"),
            (table("'a'", "int4", "every = 1").replace("'t'", "'T'"), "name: `T` has more than"),
        ] {
            assert!(refused(&text).contains(expected), "{}", refused(&text));
        }
        assert!(
            Table::load(Path::new("/nowhere.toml")).unwrap_err().to_string().contains("/nowhere")
        );
    }
}
