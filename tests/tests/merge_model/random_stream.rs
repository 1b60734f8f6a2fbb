//! Random streams over deliberately few keys.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use crate::schema::{Column, ForeignKey, OnDelete, Policy, Schema, Table};
use crate::stream::{Event, Row, Value};

/// The numbers that a row's values are made of, by column.
type Numbers = Vec<u32>;

/// How a stream is mixed: counts, and shares of rows or values.
struct Mix {
    keys: u32,
    /// References to what an earlier row gives.
    found: f64,
    most_rows: usize,
    deletes: f64,
    partial: f64,
    nulls: f64,
    bad: f64,
}

/// A stream, cut into batches.
pub fn generate(rng: &mut StdRng, schema: &Schema) -> Vec<Vec<Event>> {
    let mix = mix(rng);
    let count = rng.random_range(1..=24);
    let mut given = vec![Vec::new(); schema.tables.len()];
    let mut events: Vec<_> = (0..count).map(|_| event(rng, schema, &mix, &mut given)).collect();
    let mut batches = Vec::new();
    while !events.is_empty() {
        // Now and then a few at a time.
        let most = if rng.random_bool(0.4) { 4.min(events.len()) } else { events.len() };
        let rest = events.split_off(rng.random_range(1..=most));
        batches.push(std::mem::replace(&mut events, rest));
    }
    batches
}

fn mix(rng: &mut StdRng) -> Mix {
    Mix {
        keys: *[4, 8, 8, 40, 40].choose(rng).unwrap_or(&8),
        found: *[0.0, 0.9, 0.9].choose(rng).unwrap_or(&0.9),
        most_rows: *[1, 2, 4].choose(rng).unwrap_or(&4),
        deletes: *[0.0, 0.0, 0.1, 0.25].choose(rng).unwrap_or(&0.0),
        partial: *[0.0, 0.0, 0.0, 0.3].choose(rng).unwrap_or(&0.0),
        nulls: *[0.0, 0.03, 0.1].choose(rng).unwrap_or(&0.0),
        bad: *[0.0, 0.0, 0.03].choose(rng).unwrap_or(&0.0),
    }
}

fn event(rng: &mut StdRng, schema: &Schema, mix: &Mix, given: &mut [Vec<Numbers>]) -> Event {
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..rng.random_range(1..=mix.most_rows) {
        rows.push(row(rng, schema, mix, given));
        if rows.last().is_some_and(|row| row.delete && ends_event(schema, row.table)) {
            break;
        }
    }
    Event { rows }
}

/// Whether nothing may follow the deletion of a row in its event: where a foreign key restricts it,
/// or acts and others only check, PostgreSQL checks the deletion at once, and not at the event's end.
fn ends_event(schema: &Schema, table: usize) -> bool {
    let reached = schema.reached_by_deletes_of(table);
    let of_reached: Vec<_> =
        schema.foreign_keys.iter().filter(|key| reached.contains(&key.parent)).collect();
    let acts = |key: &&ForeignKey| matches!(key.on_delete, OnDelete::Cascade | OnDelete::SetNull);
    of_reached.iter().any(|key| key.on_delete == OnDelete::Restrict)
        || (of_reached.iter().any(acts) && !of_reached.iter().all(acts))
}

fn row(rng: &mut StdRng, schema: &Schema, mix: &Mix, given: &mut [Vec<Numbers>]) -> Row {
    let number = rng.random_range(0..schema.tables.len());
    let table = &schema.tables[number];
    let deletes = if table.policy == Policy::Append { mix.deletes / 8.0 } else { mix.deletes };
    let delete = rng.random_bool(deletes);
    let mut values = vec![None; table.columns.len()];
    let numbers = numbers(rng, schema, number, mix, given);
    for (place, column) in table.nameable() {
        let is_key = table.key.contains(&place);
        if is_key || (!delete && is_named(rng, table, place, mix)) {
            values[place] = Some(value(rng, column, numbers[place], is_key, mix));
        }
    }
    if !delete {
        given[number].push(numbers);
    }
    Row { table: number, delete, values, says_all: rng.random_bool(0.5) }
}

/// Any numbers, but where the row refers to one that was given before.
fn numbers(
    rng: &mut StdRng,
    schema: &Schema,
    table: usize,
    mix: &Mix,
    given: &[Vec<Numbers>],
) -> Numbers {
    let count = schema.tables[table].columns.len();
    let mut numbers: Numbers = (0..count).map(|_| rng.random_range(0..mix.keys)).collect();
    for key in schema.foreign_keys.iter().filter(|key| key.child == table) {
        if let Some(parent) = given[key.parent].choose(rng)
            && rng.random_bool(mix.found)
        {
            for (child_column, parent_column) in key.child_columns.iter().zip(&key.parent_columns) {
                numbers[*child_column] = parent[*parent_column];
            }
        }
    }
    numbers
}

fn is_named(rng: &mut StdRng, table: &Table, place: usize, mix: &Mix) -> bool {
    let unnamed = if table.version == Some(place) { mix.partial / 6.0 } else { mix.partial };
    !rng.random_bool(unnamed)
}

fn value(rng: &mut StdRng, column: &Column, number: u32, is_key: bool, mix: &Mix) -> Value {
    let nulls = match (is_key, column.not_null) {
        (true, _) => mix.nulls / 20.0,
        (false, true) => mix.nulls / 4.0,
        (false, false) => mix.nulls,
    };
    if rng.random_bool(nulls) {
        return None;
    }
    let bad = column.kind.bad_literal().filter(|_| rng.random_bool(mix.bad));
    Some(bad.map_or_else(|| column.kind.literal(number), str::to_owned))
}
