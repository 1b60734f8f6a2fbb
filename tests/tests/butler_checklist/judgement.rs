//! Whether a delivery did what is expected of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::comparison::{Difference, Side};
use crate::expectation::{DIFFERENCES, REFUSALS};
use crate::repository::{Case, Delivered};

/// Rows that only the client has, and that only Forebay has.
type Count = (usize, usize);

/// What a delivery did otherwise than is expected.
#[derive(Default)]
pub struct Judgement {
    /// In words.
    pub wrong: Vec<String>,
}

impl Judgement {
    /// Judges a delivery by its dead letters and by the rows in which it differs from the client's.
    pub fn of<'a>(delivered: &Delivered<'_>, rows: impl Iterator<Item = &'a Difference>) -> Self {
        let mut judgement = Self::default();
        judgement.judge_refusals(delivered);
        judgement.judge_rows(&delivered.repository.cases, rows);
        judgement
    }

    /// Every event is refused as the table says, by the client and by the writer, each time that it
    /// came.
    fn judge_refusals(&mut self, delivered: &Delivered<'_>) {
        for (case, event, letter) in &delivered.events {
            let Case { name, outcomes, .. } = &delivered.repository.cases[*case];
            let expected = REFUSALS.iter().find(|refusal| refusal.0 == name && refusal.1 == *event);
            let (client, writer) = expected.map_or(("", ""), |refusal| (refusal.2, refusal.3));
            if outcomes[*event] != client {
                let found = &outcomes[*event];
                self.wrong.push(format!(
                    "{name} event {event}: the client raises {found:?}, not {client:?}"
                ));
            }
            let found = letter.as_ref().map_or("", |letter| letter.sqlstate.as_str());
            if found != writer {
                self.wrong
                    .push(format!("{name} event {event}: {found:?}, not {writer:?}: {letter:?}"));
            }
            let is_explained = DIFFERENCES.iter().any(|difference| difference.0 == name);
            if client.is_empty() != writer.is_empty() && !is_explained {
                self.wrong
                    .push(format!("{name} event {event}: refused by one side, without a reason"));
            }
        }
    }

    /// All rows are the same, but for those that the table names.
    fn judge_rows<'a>(&mut self, cases: &[Case], rows: impl Iterator<Item = &'a Difference>) {
        let mut found: BTreeMap<(&str, &str), Count> = BTreeMap::new();
        let mut examples: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for difference in rows {
            let key = (owner(cases, &difference.row), difference.table.as_str());
            let count = found.entry(key).or_default();
            match difference.side {
                Side::Client => count.0 += 1,
                Side::Writer => count.1 += 1,
            }
            let example = format!("{:?}: {}", difference.side, difference.row);
            examples.entry(key).or_default().push(example);
        }
        let mut expected: BTreeMap<(&str, &str), Count> = BTreeMap::new();
        for (case, _, tables) in DIFFERENCES {
            if cases.iter().any(|known| known.name == *case) {
                expected.extend(tables.iter().map(|(table, a, b)| ((*case, *table), (*a, *b))));
            }
        }
        let keys: BTreeSet<_> = found.keys().chain(expected.keys()).copied().collect();
        for key in keys {
            let (found, expected) = (found.get(&key), expected.get(&key));
            if found != expected {
                let rows = examples
                    .get(&key)
                    .map_or(String::new(), |rows| rows[..rows.len().min(3)].join("\n    "));
                let (case, table) = key;
                self.wrong.push(format!(
                    "{case} {table}: rows of the client alone and of Forebay alone {found:?}, expected {expected:?}\n    {rows}"
                ));
            }
        }
    }
}

/// The case that a row belongs to: the one whose name or UUID is a word of it. Empty if there is none.
fn owner<'a>(cases: &'a [Case], row: &str) -> &'a str {
    let words: BTreeSet<_> = row.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let is_of = |case: &&Case| words.contains(&*case.name) || words.contains(&*case.uuid_prefix);
    cases.iter().find(is_of).map_or("", |case| &case.name)
}
