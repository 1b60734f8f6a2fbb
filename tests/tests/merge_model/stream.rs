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
enum Mix {
    /// Few keys, and most events at odds with one another.
    Dense { keys: i32, deletes: f64, partial: f64 },
    /// Many keys, parents before children, so that most batches are plain; now and then a value
    /// is out of order.
    Calm { disorder: f64 },
    /// Few parents that take one another's unique values.
    Swaps { keys: i32 },
}

/// The keys of [`Mix::Calm`].
const CALM_KEYS: i32 = 300;

pub fn generate(rng: &mut StdRng) -> Vec<Event> {
    let mix = match rng.random_range(0..5) {
        0 => Mix::Swaps { keys: 8 },
        1 | 2 => Mix::Calm { disorder: *[0.0, 0.01].choose(rng).unwrap_or(&0.0) },
        _ => Mix::Dense {
            keys: *[4, 8, 8].choose(rng).unwrap_or(&8),
            deletes: *[0.0, 0.1].choose(rng).unwrap_or(&0.0),
            partial: *[0.0, 0.3].choose(rng).unwrap_or(&0.0),
        },
    };
    let events = rng.random_range(1..=40);
    let mut parents = Vec::new();
    (0..events)
        .map(|_| {
            let rows = if matches!(mix, Mix::Swaps { .. }) { 1 } else { rng.random_range(1..=4) };
            let rows = (0..rows).map(|_| match mix {
                Mix::Swaps { keys } => swap_row(rng, keys),
                Mix::Dense { keys, deletes, partial } => dense_row(rng, keys, deletes, partial),
                Mix::Calm { disorder } => calm_row(rng, disorder, &mut parents),
            });
            Event { rows: rows.collect() }
        })
        .collect()
}

fn dense_row(rng: &mut StdRng, keys: i32, deletes: f64, partial: f64) -> Row {
    let number = rng.random_range(0..TABLES.len());
    let table = &TABLES[number];
    let has_key = table.policy != Policy::Append;
    let delete = has_key && rng.random_bool(deletes);
    let values = (0..table.columns.len())
        .map(|column| {
            let is_key = has_key && column == 0;
            if !is_key && (delete || rng.random_bool(partial)) {
                return None;
            }
            let is_null = !is_key && rng.random_bool(0.1);
            Some((!is_null).then(|| rng.random_range(0..keys)))
        })
        .collect();
    Row { table: number, delete, values }
}

fn swap_row(rng: &mut StdRng, keys: i32) -> Row {
    let mut value = || Some(Some(rng.random_range(0..keys)));
    Row { table: 0, delete: false, values: vec![value(), value(), value()] }
}

/// A row whose parents earlier rows have given, whose unique values belong to its key, and which
/// repeats what is identical.
fn calm_row(rng: &mut StdRng, disorder: f64, parents: &mut Vec<i32>) -> Row {
    let number = rng.random_range(0..TABLES.len());
    let id = rng.random_range(0..CALM_KEYS);
    let parent = parents.choose(rng).copied();
    let note = Some(rng.random_range(0..7));
    let mut values = match TABLES[number].name {
        "parent" => {
            parents.push(id);
            vec![Some(id), Some(id), note]
        }
        "child" if parent.is_some() => vec![Some(id), parent, note, note],
        "child" | "node" => {
            return Row { table: 2, delete: false, values: vec![Some(Some(id)), Some(None)] };
        }
        "fixed" | "once" => vec![Some(id), if number == 3 { None } else { Some(id) }, Some(id)],
        _ => vec![note, parent],
    };
    if rng.random_bool(disorder) {
        values[1] = Some(rng.random_range(0..CALM_KEYS));
    }
    Row { table: number, delete: false, values: values.into_iter().map(Some).collect() }
}
