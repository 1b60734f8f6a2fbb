//! What an event's schema says of its row's columns: how to read a value that JSON has no type of
//! its own for.

use std::collections::HashMap;

use crate::json::{Json, Kind, malformed, visit_array, visit_object};
use crate::rejection::Rejection;

use super::temporal::Unit;

/// The columns of a row whose values are not simply what JSON shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowSchema(HashMap<String, Meaning>);

/// How to read a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Bytes in base64.
    Bytes,
    /// The digits of a decimal as bytes in base64, the last so many behind the point.
    Decimal(i32),
    /// An object of a scale and such digits.
    VariableScaleDecimal,
    /// Days since 1970.
    Date,
    /// Time since midnight.
    Time(Unit),
    /// Time since 1970, by a clock that is in no place.
    Timestamp(Unit),
    /// Words with a needless Z behind them.
    IsoWithoutZone,
    /// An array of such values.
    Array(Box<Meaning>),
    /// Nothing that can be read without a loss; the advice is for a person.
    Unsupported {
        /// The schema's name of the type.
        name: String,
        /// What to do.
        advice: &'static str,
    },
}

impl RowSchema {
    /// Reads the schema of an envelope.
    pub fn read(envelope: &str) -> Result<Self, Rejection> {
        let row = Field::read(envelope)?.members()?.into_iter().find_map(|field| {
            (field.name.as_deref() == Some("after") || field.name.as_deref() == Some("before"))
                .then_some(field)
        });
        let row = row.ok_or_else(|| malformed("the schema is not that of a change event"))?;
        let mut columns = HashMap::new();
        for column in row.members()? {
            if let (Some(meaning), Some(name)) = (column.meaning()?, column.name) {
                columns.insert(name, meaning);
            }
        }
        Ok(Self(columns))
    }

    /// How to read a column's value; none if JSON shows it.
    pub fn meaning(&self, column: &str) -> Option<&Meaning> {
        self.0.get(column)
    }
}

/// One field of a schema, or the schema as a whole.
#[derive(Debug, Default)]
struct Field<'a> {
    /// What the field is called.
    name: Option<String>,
    /// The kind that Kafka Connect has for it.
    kind: String,
    /// The type that this kind stands for.
    semantic: Option<String>,
    parameters: Option<Json<'a>>,
    fields: Option<Json<'a>>,
    items: Option<Json<'a>>,
}

impl<'a> Field<'a> {
    fn read(text: &'a str) -> Result<Self, Rejection> {
        let mut field = Self::default();
        visit_object(text, |key, value| {
            match &*key {
                "field" => field.name = Some(value.string()?.into_owned()),
                "type" => field.kind = value.string()?.into_owned(),
                "name" => field.semantic = optional_text(value)?,
                "parameters" => field.parameters = Some(value),
                "fields" => field.fields = Some(value),
                "items" => field.items = Some(value),
                _ => {}
            }
            Ok(())
        })
        .map_err(|rejection| rejection.within("schema"))?;
        Ok(field)
    }

    fn members(&self) -> Result<Vec<Field<'a>>, Rejection> {
        let fields = self.fields.ok_or_else(|| malformed("schema: key \"fields\" is missing"))?;
        let mut members = Vec::new();
        visit_array(fields.text(), |_, member| {
            members.push(Field::read(member.text())?);
            Ok(())
        })?;
        Ok(members)
    }

    /// How to read values of this type; none if JSON shows them.
    fn meaning(&self) -> Result<Option<Meaning>, Rejection> {
        let Some(name) = self.semantic.as_deref() else {
            return Ok(match (self.kind.as_str(), self.items) {
                ("bytes", _) => Some(Meaning::Bytes),
                ("array", Some(items)) => {
                    // An array of arrays is none of Debezium's types, so this ends here.
                    let items = Field::read(items.text())?;
                    let of_items = if items.kind == "array" { None } else { items.meaning()? };
                    of_items.map(|meaning| Meaning::Array(Box::new(meaning)))
                }
                _ => None,
            });
        };
        let unsupported = |advice| Some(Meaning::Unsupported { name: name.to_owned(), advice });
        Ok(match name {
            "org.apache.kafka.connect.data.Decimal" => Some(Meaning::Decimal(self.scale()?)),
            "io.debezium.data.VariableScaleDecimal" => Some(Meaning::VariableScaleDecimal),
            "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Some(Meaning::Date),
            "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => {
                Some(Meaning::Time(Unit::Milliseconds))
            }
            "io.debezium.time.MicroTime" => Some(Meaning::Time(Unit::Microseconds)),
            "io.debezium.time.NanoTime" => Some(Meaning::Time(Unit::Nanoseconds)),
            "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => {
                Some(Meaning::Timestamp(Unit::Milliseconds))
            }
            "io.debezium.time.MicroTimestamp" => Some(Meaning::Timestamp(Unit::Microseconds)),
            "io.debezium.time.NanoTimestamp" => Some(Meaning::Timestamp(Unit::Nanoseconds)),
            "io.debezium.time.IsoDate"
            | "io.debezium.time.IsoTime"
            | "io.debezium.time.IsoTimestamp" => Some(Meaning::IsoWithoutZone),
            "io.debezium.time.MicroDuration" | "io.debezium.time.NanoDuration" => {
                unsupported("set the connector's interval.handling.mode to string")
            }
            "io.debezium.data.Bits" => unsupported("leave the column out at the connector"),
            name if name.starts_with("io.debezium.data.geometry.") => {
                unsupported("leave the column out at the connector")
            }
            _ if self.kind == "bytes" => unsupported("leave the column out at the connector"),
            _ => None,
        })
    }

    fn scale(&self) -> Result<i32, Rejection> {
        let mut scale = None;
        if let Some(parameters) = self.parameters {
            visit_object(parameters.text(), |key, value| {
                if key == "scale" {
                    scale = match value.kind()? {
                        Kind::String(text) => text.parse().ok(),
                        Kind::Number(text) => text.parse().ok(),
                        _ => None,
                    };
                }
                Ok(())
            })?;
        }
        scale.ok_or_else(|| malformed("schema: a decimal without scale"))
    }
}

fn optional_text(value: Json<'_>) -> Result<Option<String>, Rejection> {
    if value.is_null() { Ok(None) } else { Ok(Some(value.string()?.into_owned())) }
}
