//! A dead letter with all that it has.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_postgres::{Error, Row};

use super::payload::{as_json, shown};
use crate::text_table::printable;

/// One rejected event.
#[derive(Debug)]
pub struct Letter {
    /// Its payload; none if its value was null.
    pub payload: Option<Vec<u8>>,
    id: i64,
    partition: i32,
    offset: i64,
    attempts: i32,
    key: Option<Vec<u8>>,
    /// `[{"key": text, "value": base64 or null}]`
    headers: Option<Value>,
    /// The columns that are texts, by their names.
    texts: Vec<(&'static str, Option<String>)>,
}

const TEXTS: [&str; 11] = [
    "source",
    "topic",
    "event_timestamp",
    "lane",
    "sqlstate",
    "message",
    "target",
    "constraint",
    "first_seen",
    "last_seen",
    "state",
];

impl Letter {
    /// Reads a row of `show.sql`.
    pub fn read(row: &Row) -> Result<Self, Error> {
        let text = |name: &'static str| Ok((name, row.try_get(name)?));
        Ok(Self {
            payload: row.try_get("payload")?,
            id: row.try_get("id")?,
            partition: row.try_get("partition")?,
            offset: row.try_get("event_offset")?,
            attempts: row.try_get("attempts")?,
            key: row.try_get("key")?,
            headers: row.try_get("headers")?,
            texts: TEXTS.into_iter().map(text).collect::<Result<_, Error>>()?,
        })
    }

    /// The source that has it.
    pub fn source(&self) -> &str {
        self.text("source").unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(column, _)| *column == name)?.1.as_deref()
    }

    /// All of it, for programs.
    pub fn as_json(&self) -> Value {
        let headers: Vec<Value> = self
            .headers()
            .map(|(key, value)| json!({"key": key, "value": as_json(value.as_deref())}))
            .collect();
        let mut letter = json!({
            "id": self.id,
            "partition": self.partition,
            "offset": self.offset,
            "attempts": self.attempts,
            "key": as_json(self.key.as_deref()),
            "headers": headers,
            "payload": as_json(self.payload.as_deref()),
        });
        for (name, text) in &self.texts {
            letter[*name] = json!(text);
        }
        letter
    }

    /// All of it, for people.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = |name: &str, text: &str| writeln!(out, "{name:<12} {text}");
        line("dead letter", &self.id.to_string())?;
        let text = |name| printable(self.text(name).unwrap_or("-"));
        line("source", &text("source"))?;
        line("event", &format!("{}/{}/{}", text("topic"), self.partition, self.offset))?;
        line("produced", &text("event_timestamp"))?;
        line("rejected", &format!("{}, first {}", text("last_seen"), text("first_seen")))?;
        line("attempts", &self.attempts.to_string())?;
        line("state", &text("state"))?;
        line("lane", &text("lane"))?;
        line("sqlstate", &text("sqlstate"))?;
        line("message", &text("message"))?;
        line("target", &text("target"))?;
        line("constraint", &text("constraint"))?;
        for (key, value) in self.headers() {
            let value = value.as_deref().map_or("null".to_owned(), shown);
            line("header", &format!("{}: {value}", printable(key)))?;
        }
        line("key", &self.key.as_deref().map_or("null".to_owned(), shown))?;
        match self.payload.as_deref() {
            None => line("payload", "null"),
            Some(payload) => {
                line("payload", &format!("{} bytes", payload.len()))?;
                writeln!(out, "{}", shown(payload))
            }
        }
    }

    fn headers(&self) -> impl Iterator<Item = (&str, Option<Vec<u8>>)> {
        let headers = self.headers.as_ref().and_then(Value::as_array);
        headers.into_iter().flatten().map(|header| {
            let value = header["value"].as_str().and_then(|text| STANDARD.decode(text).ok());
            (header["key"].as_str().unwrap_or_default(), value)
        })
    }
}
