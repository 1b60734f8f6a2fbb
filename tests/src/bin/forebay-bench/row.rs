//! The rows of all scenarios: small and flat, in random order.

use std::time::{Duration, SystemTime};

use crate::table::{KINDS, SITES, Table};

/// Rows of one time stamp.
pub const SENSORS: u64 = 1000;

/// 2026-01-01T00:00:00Z, in seconds of the epoch. All rows are of that day.
const DAY: u64 = 1_767_225_600;

/// The rows of a day.
pub const MAX_ROWS: u64 = SENSORS * 86_400;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub sensor: i32,
    /// Seconds of the day.
    second: u64,
    pub value: f64,
    pub note: String,
    /// Of tables that have it.
    pub site: i32,
    /// Of tables that have it.
    pub kind: i32,
}

impl Row {
    pub fn ts(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(DAY + self.second)
    }

    /// The same key and note, with another value.
    pub fn with_value(&self, value: f64) -> Self {
        Self { value, ..self.clone() }
    }

    /// The same row with a note of so many equal characters.
    pub fn with_long_note(self, characters: usize) -> Self {
        Self { note: "-".repeat(characters), ..self }
    }

    /// As an event for a table.
    pub fn json(&self, table: Table) -> String {
        let more = match table {
            Table::Plain => String::new(),
            Table::Referring => format!(r#", "site": {}, "kind": {}"#, self.site, self.kind),
        };
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        format!(
            r#"{{"sensor": {}, "ts": "2026-01-01T{hour:02}:{minute:02}:{second:02}Z", "value": {}, "note": "{}"{more}}}"#,
            self.sensor, self.value, self.note
        )
    }
}

/// Rows with distinct keys, in an order that looks random and is always the same.
pub fn rows(count: u64) -> impl Iterator<Item = Row> {
    numbers(count).map(row)
}

/// The numbers below `count`, each once, in an order that looks random and is always the same.
pub fn numbers(count: u64) -> impl Iterator<Item = u64> {
    let bits = (64 - (count - 1).leading_zeros()).max(2).next_multiple_of(2);
    // A permutation of the next power of four: what lies above `count` is left out.
    (0..1_u64 << bits).map(move |number| shuffle(number, bits)).filter(move |n| *n < count)
}

/// The row of a number below [`MAX_ROWS`]; numbers ascend with time.
pub fn row(number: u64) -> Row {
    let random = mix(number);
    Row {
        sensor: (number % SENSORS) as i32,
        second: number / SENSORS,
        value: (random >> 40) as f64 / 1000.0,
        note: format!("reading {:010x} of the day", random & 0xff_ffff_ffff),
        site: (random % SITES) as i32,
        kind: (random / SITES % KINDS) as i32,
    }
}

/// A Feistel network: a permutation of the numbers of so many bits (an even number).
fn shuffle(number: u64, bits: u32) -> u64 {
    let half = bits / 2;
    let mask = (1 << half) - 1;
    let (mut left, mut right) = (number >> half, number & mask);
    for round in 0..4 {
        (left, right) = (right, left ^ (mix(right ^ (round << 60)) & mask));
    }
    left << half | right
}

/// The finisher of SplitMix64.
pub fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::rows;
    use crate::table::Table;

    #[test]
    fn every_key_occurs_once_and_not_in_order() {
        for count in [1, 2, 3, 1000, 5000] {
            let keys: Vec<_> = rows(count).map(|row| (row.second, row.sensor)).collect();
            let distinct: BTreeSet<_> = keys.iter().copied().collect();
            assert_eq!(distinct.len() as u64, count);
            assert_eq!(keys.len() as u64, count);
            assert!(count < 10 || !keys.is_sorted());
        }
    }

    #[test]
    fn a_row_is_json() {
        for row in rows(5000).take(10) {
            let json: serde_json::Value = serde_json::from_str(&row.json(Table::Plain)).unwrap();
            assert_eq!(json["sensor"], row.sensor);
            assert_eq!(json["value"], row.value);
        }
    }
}
