//! Streams of events into one table, and what must come of them.

use std::{collections::VecDeque, iter};

use clap::ValueEnum;

use crate::{
    row::{self, Row, mix},
    table::Table,
};

/// A stream of events into the one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stream {
    /// Every key once, every event good, an empty table.
    Plain,
    /// Each tenth event has the key of one shortly before it, and another value.
    RepeatedKeys,
    /// Each hundredth event is bad: in turn no JSON, no time, and a value that only the table
    /// refuses.
    BadEvents,
    /// All rows stand in the table already, just so.
    Unchanged,
    /// All keys stand in the table already, with other values.
    Changed,
    /// As plain, into a table of six columns, three of which refer to small tables.
    ForeignKeys,
    /// Many partitions of batches that unpack to ninety times their size.
    Compressed,
}

/// The notes of [`Stream::Compressed`] have so many characters, all equal.
const LONG_NOTE: usize = 1900;

/// How far back a repeated key lies at most, in events: mostly in the same batch.
const NEAR: usize = 1000;

impl Stream {
    /// For people.
    pub fn description(self) -> &'static str {
        match self {
            Self::Plain => "flat JSON events in random order, key (sensor, ts)",
            Self::RepeatedKeys => "flat JSON events, 10 % of them with the key of an earlier one",
            Self::BadEvents => "flat JSON events, 1 % of them bad in three ways",
            Self::Unchanged => "flat JSON events into a table that has all of these rows",
            Self::Changed => "flat JSON events into a table that has all keys with other values",
            Self::ForeignKeys => "flat JSON events of six columns, three of them foreign keys",
            Self::Compressed => "flat JSON events with long notes, zstd, from 64 partitions",
        }
    }

    /// The table that it goes into.
    pub fn table(self) -> Table {
        if self == Self::ForeignKeys { Table::Referring } else { Table::Plain }
    }

    /// How many rows the table has in the end.
    pub fn rows_left(self, events: u64) -> u64 {
        match self {
            Self::Plain
            | Self::Unchanged
            | Self::Changed
            | Self::ForeignKeys
            | Self::Compressed => events,
            Self::RepeatedKeys => events - events / 10,
            Self::BadEvents => events - events / 100,
        }
    }

    /// The rows of all events, in their order. Bad events are among them, as they were good.
    pub fn rows(self, events: u64) -> Box<dyn Iterator<Item = Row>> {
        match self {
            Self::RepeatedKeys => Box::new(Repeating::new(events)),
            Self::Compressed => {
                Box::new(row::rows(events).map(|row| row.with_long_note(LONG_NOTE)))
            }
            Self::Plain | Self::BadEvents | Self::Unchanged | Self::Changed | Self::ForeignKeys => {
                Box::new(row::rows(events))
            }
        }
    }

    /// The rows that stand in the table before.
    pub fn rows_before(self, events: u64) -> Box<dyn Iterator<Item = Row>> {
        match self {
            Self::Unchanged => self.rows(events),
            Self::Changed => Box::new(self.rows(events).map(|row| row.with_value(row.value + 1.0))),
            _ => Box::new(iter::empty()),
        }
    }

    /// The partitions of its topic.
    pub fn partitions(self) -> i32 {
        if self == Self::Compressed { 64 } else { 4 }
    }

    /// What its producer does to batches.
    pub fn compression(self) -> &'static str {
        if self == Self::Compressed { "zstd" } else { "none" }
    }

    /// The events: their row, which says their partition, and their payload.
    pub fn events(self, events: u64) -> impl Iterator<Item = (Row, String)> {
        (1..).zip(self.rows(events)).map(move |(number, row)| {
            let payload = match self {
                Self::BadEvents if number % 100 == 0 => spoil(&row, number / 100),
                _ => row.json(self.table()),
            };
            (row, payload)
        })
    }
}

/// A bad event, of a kind that follows from its number.
fn spoil(row: &Row, number: u64) -> String {
    let good = row.json(Table::Plain);
    match number % 3 {
        0 => good[..good.len() / 2].to_owned(),
        1 => good.replace("\"2026-", "\"no time at all-"),
        _ => row.with_value(-1.0).json(Table::Plain),
    }
}

/// Rows of which each tenth has the key of one of the last thousand.
struct Repeating {
    fresh: Box<dyn Iterator<Item = Row>>,
    recent: VecDeque<Row>,
    number: u64,
    events: u64,
}

impl Repeating {
    fn new(events: u64) -> Self {
        let fresh = Box::new(row::rows(Stream::RepeatedKeys.rows_left(events)));
        Self { fresh, recent: VecDeque::with_capacity(NEAR), number: 0, events }
    }
}

impl Iterator for Repeating {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.number == self.events {
            return None;
        }
        self.number += 1;
        if self.number.is_multiple_of(10) {
            let random = mix(self.number);
            let index = (random % self.recent.len() as u64) as usize;
            let value = (random >> 40) as f64 / 1000.0;
            return Some(self.recent[index].with_value(value));
        }
        let row = self.fresh.next()?;
        if self.recent.len() == NEAR {
            self.recent.pop_front();
        }
        self.recent.push_back(row.clone());
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::Stream;

    #[test]
    fn leaves_as_many_rows_as_it_says() {
        for stream in Stream::value_variants() {
            for count in [1, 9, 10, 99, 5000] {
                let events: Vec<_> = stream.events(count).collect();
                assert_eq!(events.len() as u64, count);
                let good = events.iter().filter(|(row, payload)| {
                    let read = serde_json::from_str::<serde_json::Value>(payload);
                    read.is_ok_and(|read| {
                        read["value"].as_f64() == Some(row.value)
                            && read["ts"].as_str().is_some_and(|ts| ts.starts_with("2026-"))
                    })
                });
                let keys: BTreeSet<_> = good.map(|(row, _)| (row.sensor, row.ts())).collect();
                assert_eq!(keys.len() as u64, stream.rows_left(count), "{stream:?} {count}");
            }
        }
    }
}
