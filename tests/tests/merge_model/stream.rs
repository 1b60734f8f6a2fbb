//! Random streams over deliberately few keys.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use crate::schema::{Policy, TABLES};

/// The atomic unit: all of its rows, or none.
#[derive(Debug)]
pub struct Event {
    pub rows: Vec<Row>,
}

/// A row of an event.
#[derive(Debug)]
pub struct Row {
    /// Its place in [`TABLES`].
    pub table: usize,
    pub delete: bool,
    /// A value per column; `None` where the event does not name the column.
    pub values: Vec<Option<Value>>,
}

/// A value; `None` is null.
pub type Value = Option<i32>;

impl Row {
    /// The value of the key.
    pub fn key(&self) -> i32 {
        self.values[0].flatten().unwrap_or_default()
    }

    /// The named columns and their values.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let columns = TABLES[self.table].columns.iter();
        columns.zip(&self.values).filter_map(|(column, value)| value.map(|value| (*column, value)))
    }
}

/// What kind of events a stream has.
struct Mix {
    keys: i32,
    deletes: f64,
    partial: f64,
}

pub fn generate(rng: &mut StdRng) -> Vec<Event> {
    let mix = Mix {
        keys: *[4, 8, 8, 200].choose(rng).unwrap_or(&8),
        deletes: *[0.0, 0.0, 0.1].choose(rng).unwrap_or(&0.0),
        partial: *[0.0, 0.3].choose(rng).unwrap_or(&0.0),
    };
    let events = rng.random_range(1..=40);
    (0..events).map(|_| event(rng, &mix)).collect()
}

fn event(rng: &mut StdRng, mix: &Mix) -> Event {
    let rows = rng.random_range(1..=4);
    Event { rows: (0..rows).map(|_| row(rng, mix)).collect() }
}

fn row(rng: &mut StdRng, mix: &Mix) -> Row {
    let number = rng.random_range(0..TABLES.len());
    let table = &TABLES[number];
    let has_key = table.policy != Policy::Append;
    let delete = has_key && rng.random_bool(mix.deletes);
    let values = (0..table.columns.len())
        .map(|column| {
            let is_key = has_key && column == 0;
            if !is_key && (delete || rng.random_bool(mix.partial)) {
                return None;
            }
            let is_null = !is_key && rng.random_bool(0.1);
            Some((!is_null).then(|| rng.random_range(0..mix.keys)))
        })
        .collect();
    Row { table: number, delete, values }
}
