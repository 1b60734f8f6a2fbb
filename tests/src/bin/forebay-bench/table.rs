//! The tables of the scenarios of rows.

use tokio_postgres::types::Type;

/// The table `sensor`, which is also the target. Its key is always [`KEY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Four columns and a check.
    Plain,
}

/// The columns of the key.
pub const KEY: &[&str] = &["sensor", "ts"];

/// A column.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub sql: Type,
    /// Its field in a schema of Kafka Connect.
    pub connect: &'static str,
}

const PLAIN: &[Column] = &[
    Column { name: "sensor", sql: Type::INT4, connect: r#""type":"int32","optional":false"# },
    Column {
        name: "ts",
        sql: Type::TIMESTAMPTZ,
        connect: r#""type":"string","name":"io.debezium.time.ZonedTimestamp","optional":false"#,
    },
    Column { name: "value", sql: Type::FLOAT8, connect: r#""type":"double","optional":true"# },
    Column { name: "note", sql: Type::TEXT, connect: r#""type":"string","optional":true"# },
];

impl Table {
    /// Statements that make it anew, empty.
    pub fn create(self) -> &'static str {
        match self {
            Self::Plain => {
                "drop table if exists sensor, staging; \
                 create table sensor (sensor int4, ts timestamptz, \
                 value float8 check (value >= 0), note text, primary key (sensor, ts))"
            }
        }
    }

    /// Its columns, in their order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Plain => PLAIN,
        }
    }

    /// Their names, as SQL lists them.
    pub fn names(self) -> String {
        let names: Vec<_> = self.columns().iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// The schema that Kafka Connect is to read the events with.
    pub fn connect_schema(self) -> String {
        let field =
            |column: &Column| format!(r#"{{"field":"{}",{}}}"#, column.name, column.connect);
        let fields: Vec<_> = self.columns().iter().map(field).collect();
        format!(r#"{{"type":"struct","optional":false,"fields":[{}]}}"#, fields.join(","))
    }
}
