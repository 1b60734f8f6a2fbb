//! A schema, as data: what both copies of it are made of.

use std::collections::BTreeSet;

use crate::kind::Kind;

/// What an existing row with the same key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Update,
    Ignore,
    Newest,
    Identical,
    Insert,
    Append,
}

/// Tables that refer to one another.
#[derive(Debug)]
pub struct Schema {
    pub number: usize,
    pub tables: Vec<Table>,
    pub foreign_keys: Vec<ForeignKey>,
}

/// A table, and how it is registered.
#[derive(Debug)]
pub struct Table {
    /// Its name, unquoted.
    pub name: String,
    pub columns: Vec<Column>,
    /// The places of its key columns; none where it appends.
    pub key: Vec<usize>,
    pub policy: Policy,
    /// The place of the version, where the newest stays.
    pub version: Option<usize>,
    /// The places of the compared columns, where rows must be identical and not all are.
    pub compare: Option<Vec<usize>>,
    /// The primary key is a number of the table's own, and the key just unique.
    pub has_surrogate: bool,
    pub unique: Vec<Unique>,
    /// Constraints, each `constraint … check (…)`.
    pub checks: Vec<String>,
    /// `partition by` of its first key column.
    pub partition: Option<Partition>,
}

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    pub kind: Kind,
    pub not_null: bool,
    /// Where its values come from.
    pub origin: Origin,
}

/// Where the values of a column come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From events only.
    Event,
    /// From events, or this expression.
    Default(String),
    /// From a sequence; events never name it, and nobody compares it.
    Identity,
    /// From this expression; it is not staged.
    Generated(String),
}

/// A secondary unique key.
#[derive(Debug)]
pub struct Unique {
    pub name: String,
    /// The places of its columns.
    pub columns: Vec<usize>,
    pub form: UniqueForm,
}

/// The form of a secondary unique key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UniqueForm {
    Constraint,
    /// Nulls are not distinct.
    NullsOnce,
    /// An index over the rows that fulfil this.
    Partial(String),
    /// An index on this expression, and the columns.
    Expression(String),
}

/// How a table is cut into partitions by its first key column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// By hash, in two.
    Hash,
    /// By range of an `int4`; from 6 on there is none.
    Range,
}

/// A foreign key.
#[derive(Debug)]
pub struct ForeignKey {
    pub name: String,
    /// The place of the referencing table.
    pub child: usize,
    pub child_columns: Vec<usize>,
    /// The place of the referenced table.
    pub parent: usize,
    pub parent_columns: Vec<usize>,
    pub is_full: bool,
    pub on_delete: OnDelete,
}

/// What the deletion of a parent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    Nothing,
    Cascade,
    SetNull,
    Restrict,
}

impl Schema {
    /// The tables in which the deletion of a row of this one may delete rows, this one among them.
    pub fn reached_by_deletes_of(&self, table: usize) -> BTreeSet<usize> {
        let mut reached = self.cascaded_by_deletes_of(table);
        reached.insert(table);
        reached
    }

    /// The tables in which the deletion of a row of this one may delete rows by itself.
    fn cascaded_by_deletes_of(&self, table: usize) -> BTreeSet<usize> {
        let mut cascaded = BTreeSet::new();
        loop {
            let next: BTreeSet<_> = self
                .foreign_keys
                .iter()
                .filter(|key| key.on_delete == OnDelete::Cascade)
                .filter(|key| key.parent == table || cascaded.contains(&key.parent))
                .map(|key| key.child)
                .collect();
            if next.is_subset(&cascaded) {
                return cascaded;
            }
            cascaded.extend(next);
        }
    }

    /// Whether a row that one foreign key deletes may be one that another one checks. PostgreSQL does
    /// that in the order in which they were made, and so refuses the deletion, or does not.
    pub fn depends_on_order_of_foreign_keys(&self) -> bool {
        let checks =
            |key: &&ForeignKey| matches!(key.on_delete, OnDelete::Nothing | OnDelete::Restrict);
        (0..self.tables.len()).any(|table| {
            let (cascaded, reached) =
                (self.cascaded_by_deletes_of(table), self.reached_by_deletes_of(table));
            let mut checking = self.foreign_keys.iter().filter(checks);
            checking.any(|key| cascaded.contains(&key.child) && reached.contains(&key.parent))
        })
    }
}

impl Table {
    /// The columns that are staged: all but the generated ones.
    pub fn staged(&self) -> impl Iterator<Item = (usize, &Column)> {
        let is_staged =
            |(_, column): &(usize, &Column)| !matches!(column.origin, Origin::Generated(_));
        self.columns.iter().enumerate().filter(is_staged)
    }

    /// The columns that an event may name.
    pub fn nameable(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.staged().filter(|(_, column)| column.origin != Origin::Identity)
    }
}

/// A name as SQL writes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it; null if there is none.
pub fn literal(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}
