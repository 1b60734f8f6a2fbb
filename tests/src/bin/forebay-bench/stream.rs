//! Streams of events into one table, and what must come of them.

use std::{
    collections::{BTreeMap, VecDeque},
    iter,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{
    row::{self, Row, mix},
    table::Table,
};

/// How far back a repeated key lies at most, in rows: mostly in the same batch.
const NEAR: usize = 1000;

/// The section `[stream]` of a scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The table's file, as seen from the scenario's.
    #[serde(rename = "table")]
    table_file: PathBuf,
    /// What it has; [`load`](Self::load) reads it.
    #[serde(skip)]
    pub table: Table,
    /// Of the topic.
    #[serde(default = "four")]
    pub partitions: i32,
    /// What the producer does to batches.
    #[serde(default)]
    pub compression: Compression,
    /// In which rows come for the first time.
    #[serde(default)]
    order: Order,
    /// Each so many events, one has the key of a row shortly before it, and other values.
    repeated_one_in: Option<u64>,
    /// What the table has before.
    #[serde(default)]
    pub before: Before,
    /// Events that can't be merged.
    bad: Option<Bad>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Random,
    /// As the table's generators count.
    Ascending,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Before {
    #[default]
    Nothing,
    /// All rows, just so.
    Same,
    /// All keys, with other values.
    Other,
}

/// Bad events: in turn cut in half, and with each of the replacements.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    one_in: u64,
    #[serde(default)]
    cut: bool,
    #[serde(default)]
    replace: Vec<BTreeMap<String, toml::Value>>,
}

fn four() -> i32 {
    4
}

impl Compression {
    /// As librdkafka calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl Stream {
    /// Reads the table, and checks all of it. `scenario` is the file that it stands in.
    pub fn load(&mut self, scenario: &Path) -> Result<()> {
        let folder = scenario.parent().unwrap_or(Path::new("."));
        self.table = Table::load(&folder.join(&self.table_file)).context("stream.table")?;
        ensure!((1..=1000).contains(&self.partitions), "stream.partitions is not in 1..=1000");
        ensure!(self.repeated_one_in.is_none_or(|n| n > 1), "stream.repeated_one_in is below 2");
        let Some(bad) = &self.bad else { return Ok(()) };
        ensure!(bad.one_in > 1, "stream.bad.one_in is below 2");
        ensure!(bad.cut || !bad.replace.is_empty(), "stream.bad has neither cut nor replace");
        for name in bad.replace.iter().flat_map(BTreeMap::keys) {
            let known = self.table.columns.iter().any(|column| column.name == *name);
            ensure!(known, "stream.bad.replace: there is no column `{name}`");
        }
        Ok(())
    }

    /// Whether keys come twice.
    pub fn repeats(&self) -> bool {
        self.repeated_one_in.is_some()
    }

    /// Whether each key comes once, into an empty table, by good events alone.
    pub fn is_plain(&self) -> bool {
        !self.repeats() && !self.has_bad() && self.before == Before::Nothing
    }

    /// Whether events are bad.
    pub fn has_bad(&self) -> bool {
        self.bad.is_some()
    }

    /// The rows of all events, in their order. Bad events are among them, as they were good.
    pub fn rows(&self, events: u64) -> Box<dyn Iterator<Item = Row>> {
        let fresh = self.fresh(events);
        match self.repeated_one_in {
            Some(each) => {
                Box::new(Repeating { fresh, recent: VecDeque::new(), number: 0, each, events })
            }
            None => fresh,
        }
    }

    /// The rows that stand in the table before.
    pub fn rows_before(&self, events: u64) -> Box<dyn Iterator<Item = Row>> {
        match self.before {
            Before::Nothing => Box::new(iter::empty()),
            Before::Same => self.fresh(events),
            Before::Other => {
                Box::new(self.fresh(events).map(|row| Row { version: u64::MAX, ..row }))
            }
        }
    }

    /// How many rows the table has in the end.
    pub fn rows_left(&self, events: u64) -> u64 {
        let fresh = self.fresh_count(events);
        if self.before != Before::Nothing {
            return fresh;
        }
        let mut is_there = vec![false; fresh as usize];
        for (event, row) in (1..).zip(self.rows(events)) {
            is_there[row.number as usize] |= !self.is_bad(event);
        }
        is_there.iter().filter(|is_there| **is_there).count() as u64
    }

    /// The events: their row, and their payload.
    pub fn events(&self, events: u64) -> impl Iterator<Item = (Row, String)> {
        let good = BTreeMap::new();
        (1..).zip(self.rows(events)).map(move |(number, row)| {
            let payload = match &self.bad {
                Some(bad) if self.is_bad(number) => bad.payload(&self.table, row, number),
                _ => self.table.json(row, &good),
            };
            (row, payload)
        })
    }

    /// The partition of a row: that of all events of its key.
    pub fn partition(&self, row: Row) -> i32 {
        (row.number % u64::from(self.partitions.unsigned_abs())) as i32
    }

    fn is_bad(&self, event: u64) -> bool {
        self.bad.as_ref().is_some_and(|bad| event.is_multiple_of(bad.one_in))
    }

    /// How many rows so many events have.
    fn fresh_count(&self, events: u64) -> u64 {
        events - self.repeated_one_in.map_or(0, |each| events / each)
    }

    fn fresh(&self, events: u64) -> Box<dyn Iterator<Item = Row>> {
        let count = self.fresh_count(events);
        match self.order {
            Order::Random => Box::new(row::shuffled(count).map(Row::new)),
            Order::Ascending => Box::new((0..count).map(Row::new)),
        }
    }
}

impl Bad {
    fn payload(&self, table: &Table, row: Row, number: u64) -> String {
        let ways = self.replace.len() as u64 + u64::from(self.cut);
        let way = (number / self.one_in % ways) as usize;
        match self.replace.get(way) {
            Some(replace) => {
                let replace = replace.iter().map(|(name, value)| (name.clone(), json(value)));
                table.json(row, &replace.collect())
            }
            None => {
                let whole = table.json(row, &BTreeMap::new());
                whole[..whole.len() / 2].to_owned()
            }
        }
    }
}

fn json(value: &toml::Value) -> String {
    // Whatever TOML has, JSON has too, but numbers that are none: they become null.
    serde_json::to_string(value).unwrap_or_default()
}

/// Rows of which some have the key of one of the last thousand.
struct Repeating {
    fresh: Box<dyn Iterator<Item = Row>>,
    recent: VecDeque<Row>,
    number: u64,
    each: u64,
    events: u64,
}

impl Iterator for Repeating {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.number == self.events {
            return None;
        }
        self.number += 1;
        if self.number.is_multiple_of(self.each) {
            let index = (mix(self.number) % self.recent.len() as u64) as usize;
            return Some(Row { version: self.number, ..self.recent[index] });
        }
        let row = self.fresh.next()?;
        if self.recent.len() == NEAR {
            self.recent.pop_front();
        }
        self.recent.push_back(row);
        Some(row)
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeSet;

    use super::Stream;
    use crate::file;

    /// A stream into the table of most scenarios, with these lines besides.
    pub fn stream(lines: &str) -> anyhow::Result<Stream> {
        let mut stream: Stream =
            toml::from_str(&format!("table = '../tables/sensor.toml'\n{lines}"))?;
        stream.load(&file::folder().join("scenarios/any.toml"))?;
        Ok(stream)
    }

    const BAD: &str =
        "bad = { one_in = 100, cut = true, replace = [{ ts = 'no' }, { value = -1 }] }";

    #[test]
    fn leaves_as_many_rows_as_it_says() {
        for lines in ["", "order = 'ascending'", "repeated_one_in = 10", BAD] {
            for count in [1, 9, 10, 99, 5000] {
                let stream = stream(lines).unwrap();
                let events: Vec<_> = stream.events(count).collect();
                assert_eq!(events.len() as u64, count);
                let mut keys = BTreeSet::new();
                for (_, payload) in &events {
                    let read = serde_json::from_str::<serde_json::Value>(payload);
                    let Ok(read) = read else { continue };
                    let ts = read["ts"].as_str().unwrap().to_owned();
                    if ts.starts_with("2026-") && read["value"].as_f64().unwrap() >= 0.0 {
                        keys.insert((read["sensor"].as_i64(), ts));
                    }
                }
                assert_eq!(keys.len() as u64, stream.rows_left(count), "{lines} {count}");
            }
        }
    }

    #[test]
    fn each_so_many_are_repeated_or_bad() {
        let repeated = stream("repeated_one_in = 10").unwrap();
        assert_eq!(repeated.rows_left(5000), 4500);
        let bad = stream(BAD).unwrap();
        assert_eq!(bad.rows_left(5000), 4950);
        let of = |number: usize| bad.events(400).nth(number - 1).unwrap().1;
        assert!(of(100).contains(r#""value": -1"#) && of(300).contains(r#""ts": "no""#));
        assert!(!of(200).ends_with('}') && of(99).ends_with('}'));
    }

    #[test]
    fn what_can_not_be_made_is_refused() {
        for (lines, expected) in [
            ("partitions = 0", "stream.partitions is not in 1..=1000"),
            ("repeated_one_in = 1", "stream.repeated_one_in is below 2"),
            ("bad = { one_in = 2 }", "stream.bad has neither cut nor replace"),
            ("bad = { one_in = 2, replace = [{ x = 1 }] }", "there is no column `x`"),
            ("before = 'all'", "unknown variant `all`"),
            ("repeat = 1", "unknown field `repeat`"),
        ] {
            let error = format!("{:#}", stream(lines).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
