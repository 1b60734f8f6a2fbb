//! The tables of the scenarios of rows.

use tokio_postgres::types::Type;

use crate::row::SENSORS;

/// The table `sensor`, which is also the target. Its key is always [`KEY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Four columns and a check.
    Plain,
    /// Six columns, three of which refer to small tables.
    Referring,
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

const SENSOR: Column =
    Column { name: "sensor", sql: Type::INT4, connect: r#""type":"int32","optional":false"# };
const TS: Column = Column {
    name: "ts",
    sql: Type::TIMESTAMPTZ,
    connect: r#""type":"string","name":"io.debezium.time.ZonedTimestamp","optional":false"#,
};
const VALUE: Column =
    Column { name: "value", sql: Type::FLOAT8, connect: r#""type":"double","optional":true"# };
const NOTE: Column =
    Column { name: "note", sql: Type::TEXT, connect: r#""type":"string","optional":true"# };

const PLAIN: &[Column] = &[SENSOR, TS, VALUE, NOTE];

const REFERRING: &[Column] = &[
    SENSOR,
    TS,
    VALUE,
    NOTE,
    Column { name: "site", sql: Type::INT4, connect: r#""type":"int32","optional":true"# },
    Column { name: "kind", sql: Type::INT4, connect: r#""type":"int32","optional":true"# },
];

/// The rows of [`Table::Referring`]'s parents `site` and `kind`; that of sensors has all sensors.
pub const SITES: u64 = 50;
pub const KINDS: u64 = 20;

impl Table {
    /// Statements that make it anew, empty.
    pub fn create(self) -> String {
        let parent = |name, rows| {
            format!(
                "create table {name} (id int4 primary key); \
                 insert into {name} select generate_series(0, {rows} - 1); analyze {name};"
            )
        };
        let (parents, references, more) = match self {
            Self::Plain => (String::new(), "", ""),
            Self::Referring => (
                parent("device", SENSORS) + &parent("site", SITES) + &parent("kind", KINDS),
                " references device",
                ", site int4 references site, kind int4 references kind",
            ),
        };
        format!(
            "drop table if exists sensor, staging, device, site, kind; {parents} \
             create table sensor (sensor int4{references}, ts timestamptz, \
             value float8 check (value >= 0), note text{more}, primary key (sensor, ts))"
        )
    }

    /// Its columns, in their order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Plain => PLAIN,
            Self::Referring => REFERRING,
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
