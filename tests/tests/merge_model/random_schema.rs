//! Random schemas.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use crate::kind::Kind;
use crate::schema::{
    Column, ForeignKey, OnDelete, Origin, Partition, Policy, Schema, Table, Unique, UniqueForm,
};

const TABLE_NAMES: [&str; 5] = ["parent", "Order Line", "select", "a\"b", "Node"];
const COLUMN_NAMES: [&str; 12] =
    ["id", "Key", "v", "a b", "user", "W", "x\"y", "flag", "Total", "n", "s", "end"];

/// The `number` only names it.
pub fn generate(rng: &mut StdRng, number: usize) -> Schema {
    let tables = rng.random_range(2..=5);
    let mut schema = Schema {
        number,
        tables: (0..tables).map(|place| table(rng, place)).collect(),
        foreign_keys: Vec::new(),
    };
    for _ in 0..rng.random_range(1..=tables) {
        let (child, parent) = (rng.random_range(0..tables), rng.random_range(0..tables));
        add_foreign_key(rng, &mut schema, child, parent);
        if child != parent && rng.random_bool(0.1) {
            add_foreign_key(rng, &mut schema, parent, child);
        }
    }
    if schema.depends_on_order_of_foreign_keys() {
        let cascading = |key: &&mut ForeignKey| key.on_delete == OnDelete::Cascade;
        for foreign_key in schema.foreign_keys.iter_mut().filter(cascading) {
            foreign_key.on_delete = OnDelete::Nothing;
        }
    }
    for table in &mut schema.tables {
        add_surrogate(rng, table);
    }
    schema
}

fn table(rng: &mut StdRng, place: usize) -> Table {
    let policy = policy(rng);
    let keys = if policy == Policy::Append { 0 } else { 1 + usize::from(rng.random_bool(0.25)) };
    let values = rng.random_range(1..=3);
    let mut columns: Vec<_> = (0..keys + values)
        .map(|column| {
            let kind = Kind::random(rng);
            let is_key = column < keys;
            Column {
                name: COLUMN_NAMES[column].to_owned(),
                kind,
                not_null: is_key || rng.random_bool(0.2),
                origin: if is_key { Origin::Event } else { value_origin(rng, kind) },
            }
        })
        .collect();
    let int_values: Vec<_> =
        (keys..columns.len()).filter(|column| columns[*column].kind == Kind::Int).collect();
    let version = (policy == Policy::Newest).then(|| version(rng, &mut columns, keys));
    if let Some(source) = int_values.choose(rng).filter(|_| rng.random_bool(0.4)) {
        columns.push(generated(&columns[*source]));
    }
    let mut table = Table {
        name: TABLE_NAMES[place].to_owned(),
        compare: (policy == Policy::Identical && rng.random_bool(0.5)).then(|| vec![keys]),
        partition: partition(rng, &columns[..keys]),
        columns,
        key: (0..keys).collect(),
        policy,
        version,
        has_surrogate: false,
        unique: Vec::new(),
        checks: Vec::new(),
    };
    add_checks(rng, &mut table, &int_values);
    for number in 0..rng.random_range(0..=2) {
        add_unique(rng, &mut table, number);
    }
    table
}

fn policy(rng: &mut StdRng) -> Policy {
    match rng.random_range(0..11) {
        0..4 => Policy::Update,
        4 => Policy::Ignore,
        5 | 6 => Policy::Newest,
        7 | 8 => Policy::Identical,
        9 => Policy::Insert,
        _ => Policy::Append,
    }
}

fn value_origin(rng: &mut StdRng, kind: Kind) -> Origin {
    match rng.random_range(0..10) {
        0..7 => Origin::Event,
        7 if kind == Kind::Int => Origin::Default("length('four') + 1".to_owned()),
        _ => Origin::Default(format!("'{}'", kind.literal(5))),
    }
}

/// A column that says which row is newer, made of one that is there or added.
fn version(rng: &mut StdRng, columns: &mut Vec<Column>, keys: usize) -> usize {
    let ordered = (keys..columns.len())
        .find(|column| matches!(columns[*column].kind, Kind::Int | Kind::Numeric));
    if let Some(column) = ordered.filter(|_| rng.random_bool(0.5)) {
        return column;
    }
    columns.push(Column {
        name: "Version".to_owned(),
        kind: if rng.random_bool(0.8) { Kind::Int } else { Kind::Numeric },
        not_null: rng.random_bool(0.3),
        origin: Origin::Event,
    });
    columns.len() - 1
}

fn generated(source: &Column) -> Column {
    let source = crate::schema::quoted(&source.name);
    Column {
        name: "Made".to_owned(),
        kind: Kind::Int,
        not_null: false,
        origin: Origin::Generated(format!("{source} % 6")),
    }
}

fn partition(rng: &mut StdRng, key: &[Column]) -> Option<Partition> {
    let first = key.first().filter(|_| rng.random_bool(0.15))?;
    let by_range = first.kind == Kind::Int && rng.random_bool(0.5);
    Some(if by_range { Partition::Range } else { Partition::Hash })
}

fn add_checks(rng: &mut StdRng, table: &mut Table, int_values: &[usize]) {
    for (number, column) in int_values.iter().enumerate() {
        if rng.random_bool(0.3) {
            let name = crate::schema::quoted(&table.columns[*column].name);
            table.checks.push(format!("constraint \"Check {number}\" check ({name} <> 7)"));
        }
    }
}

fn add_unique(rng: &mut StdRng, table: &mut Table, number: usize) {
    let keys = table.key.len();
    let Some(first) = (keys..table.columns.len()).collect::<Vec<_>>().choose(rng).copied() else {
        return;
    };
    let column = &table.columns[first];
    let name = crate::schema::quoted(&column.name);
    let form = match (rng.random_range(0..10), column.kind) {
        (0, _) => UniqueForm::NullsOnce,
        (1 | 2, Kind::Int | Kind::Numeric | Kind::Domain) => {
            UniqueForm::Partial(format!("{name} < 4"))
        }
        (3 | 4, Kind::Int) => UniqueForm::Expression(format!("({name} / 2)")),
        (3 | 4, Kind::Text) => UniqueForm::Expression(format!("lower({name})")),
        _ => UniqueForm::Constraint,
    };
    let mut columns = match form {
        UniqueForm::Expression(_) => Vec::new(),
        _ => vec![first],
    };
    if table.partition.is_some() {
        columns.push(0);
    } else if !columns.is_empty() && rng.random_bool(0.3) {
        let other = rng.random_range(0..table.columns.len());
        if other != first {
            columns.push(other);
        }
    }
    let name = format!("Unique {number} of {}", table.name);
    table.unique.push(Unique { name, columns, form });
}

/// A foreign key to the key or to a secondary unique key of a table, which may be the table itself. Its
/// columns are new ones, perhaps of other types, or the child's key.
fn add_foreign_key(rng: &mut StdRng, schema: &mut Schema, child: usize, parent: usize) {
    let number = schema.foreign_keys.len();
    let Some(parent_columns) = referenced(rng, &schema.tables[parent]) else { return };
    let kinds: Vec<_> =
        parent_columns.iter().map(|column| schema.tables[parent].columns[*column].kind).collect();
    let Table { columns, key, .. } = &mut schema.tables[child];
    let is_key = key.iter().map(|column| columns[*column].kind).eq(kinds.iter().copied())
        && child != parent
        && rng.random_bool(0.3);
    let child_columns = if is_key {
        key.clone()
    } else {
        let not_null = child != parent && rng.random_bool(0.15);
        kinds.iter().enumerate().for_each(|(part, kind)| {
            columns.push(Column {
                name: format!("To {number} {part}"),
                kind: kind.random_referring(rng),
                not_null,
                origin: Origin::Event,
            });
        });
        (columns.len() - kinds.len()..columns.len()).collect()
    };
    let on_delete = match rng.random_range(0..10) {
        0 => OnDelete::Cascade,
        1 if !is_key => OnDelete::SetNull,
        2 => OnDelete::Restrict,
        _ => OnDelete::Nothing,
    };
    schema.foreign_keys.push(ForeignKey {
        name: format!("Foreign {number}"),
        child,
        child_columns,
        parent,
        parent_columns,
        is_full: rng.random_bool(0.3),
        on_delete,
    });
}

fn referenced(rng: &mut StdRng, parent: &Table) -> Option<Vec<usize>> {
    let mut choices: Vec<_> = parent
        .unique
        .iter()
        .filter(|unique| matches!(unique.form, UniqueForm::Constraint | UniqueForm::NullsOnce))
        .map(|unique| unique.columns.clone())
        .collect();
    if !parent.key.is_empty() && (choices.is_empty() || rng.random_bool(0.85)) {
        choices = vec![parent.key.clone()];
    }
    choices.choose(rng).cloned()
}

/// A number of the table's own, now and then as its primary key.
fn add_surrogate(rng: &mut StdRng, table: &mut Table) {
    if rng.random_bool(0.25) {
        table.has_surrogate = table.partition.is_none() && rng.random_bool(0.7);
        table.columns.push(Column {
            name: "Number".to_owned(),
            kind: Kind::Int,
            not_null: true,
            origin: Origin::Identity,
        });
    }
}
