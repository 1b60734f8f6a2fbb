//! What a merge knows of its targets.

use std::collections::HashSet;

use pgrx::pg_sys::Oid;
use serde::Deserialize;

use crate::attempt::Raised;

/// What an existing row with the same key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It is updated, if it differs.
    Update,
    /// It stays.
    Ignore,
    /// It is updated, if its version is less.
    Newest,
    /// It stays if the compared columns are equal; the event is rejected else.
    Identical,
    /// The event is rejected.
    Insert,
    /// There is no key: rows are added.
    Append,
    /// The rows are only staged, for a format's own function.
    Resolve,
}

/// A column that is staged.
#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    /// Its number in the target.
    pub attnum: i16,
    /// Its name, unquoted.
    pub name: String,
    /// Whether it refuses nulls.
    pub not_null: bool,
    /// The equality of its type, as `operator(schema.name)`; none if the type has none.
    pub equality: Option<String>,
    /// The less-than of its type, likewise.
    pub less: Option<String>,
    /// Whether values that its type's `=` takes for equal are the same bytes.
    pub equal_is_same: bool,
    /// Whether it is staged as text, the input literal.
    pub is_literal: bool,
    /// Whether it keeps the value that it is inserted with, whatever an event names.
    pub is_set_once: bool,
    /// A null of its type, as an expression.
    pub typed_null: String,
    /// Its type modifier; -1 if it has none.
    pub type_modifier: i32,
    /// What adjusts a staged value to the type modifier.
    pub adjust: Option<Adjust>,
    /// Its collation, if it is not its type's own, qualified and quoted.
    pub collation: Option<String>,
    /// Its default as an expression, if that is a constant.
    pub constant_default: Option<String>,
    /// Whether it has a default, constant or not.
    pub has_default: bool,
}

/// The function that an assignment adjusts a value to a type modifier with.
#[derive(Debug, Clone, Deserialize)]
pub struct Adjust {
    /// Qualified and quoted.
    pub function: String,
    /// How many arguments it takes: the third, if any, says whether the cast is explicit.
    pub arguments: i32,
}

/// A unique index beside the key's.
#[derive(Debug, Clone, Deserialize)]
pub struct Unique {
    /// The name of index and constraint.
    pub name: String,
    /// Its columns, unquoted.
    pub columns: Vec<String>,
}

/// A check constraint.
#[derive(Debug, Clone, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Its expression over the unqualified, quoted names of columns.
    pub expression: String,
    /// The columns that it looks at.
    pub columns: Vec<String>,
}

/// A registered target.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// Names the staging tables.
    pub id: i32,
    relation: i64,
    /// Schema-qualified and quoted.
    pub name: String,
    /// Schema-qualified, as people write it.
    pub display: String,
    /// Its schema's name, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub table: String,
    /// Whether the rows live in partitions.
    pub partitioned: bool,
    partition_root: Option<i64>,
    owner: i64,
    /// The owner's name.
    pub owner_name: String,
    /// A right on the table that its owner lacks.
    pub missing_right: Option<String>,
    /// A grant, as SQL, without which its owner may lack a right that a row needs elsewhere.
    pub missing_grant: Option<String>,
    /// Whether its row security holds for its owner, too.
    pub forces_row_security: bool,
    /// Whether a foreign key refers to it.
    pub referenced: bool,
    /// Whether a foreign key to it deletes or changes rows when a row is deleted here.
    pub acted_on: bool,
    /// Whether equal keys are the same value.
    pub key_is_spelt_one_way: bool,
    /// Why its rows are applied one by one, if they are.
    pub why_walked: Option<String>,
    /// Whether a row may violate what no look sees: it shows when the row is written.
    pub hides_checks: bool,
    /// What an existing row means.
    pub policy: Policy,
    /// The key columns, unquoted; none for `append`.
    pub key: Vec<String>,
    /// The unique index over the key.
    pub key_constraint: Option<String>,
    /// For `newest`: the column that says which row is newer.
    pub version: Option<String>,
    /// For `identical`: the columns that must be equal, if not all.
    pub compare: Option<Vec<String>>,
    /// The staged columns, in order of attnum.
    pub columns: Vec<Column>,
    /// The columns outside the key that other unique indexes and exclusion constraints look at.
    pub guard: Vec<String>,
    /// The unique indexes beside the key's whose violations a query can find.
    pub uniques: Vec<Unique>,
    /// The check constraints whose violations a query can find.
    pub checks: Vec<Check>,
}

impl Column {
    /// Whether what is staged becomes its value by a function, which can raise.
    pub fn is_converted(&self) -> bool {
        self.is_literal || self.adjust.is_some()
    }
}

impl Target {
    /// The table.
    pub fn relation(&self) -> Oid {
        oid_of(self.relation)
    }

    /// The key columns, in the key's order; none for `append`.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter_map(|name| self.column(name))
    }

    /// Whether it shares rows with another target: one is a partition of the other's, or both of one
    /// table.
    pub fn overlaps(&self, other: &Target) -> bool {
        self.relation != other.relation
            && self.partition_root.is_some()
            && self.partition_root == other.partition_root
    }

    /// The staged column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Its owner.
    pub fn owner(&self) -> Oid {
        oid_of(self.owner)
    }
}

/// A foreign key of a target.
#[derive(Debug, Clone, Deserialize)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    child: i64,
    parent: i64,
    /// The referenced table's rows, as SQL.
    pub parent_rows: String,
    /// The referencing columns.
    pub child_columns: Vec<String>,
    /// The referenced columns, in the same order.
    pub parent_columns: Vec<String>,
    /// What compares each of them with its referencing column, as `operator(schema.name)`.
    pub equalities: Vec<String>,
    /// The collations to compare in, as qualified and quoted names: the referenced columns', where the
    /// referencing ones have others.
    pub collations: Vec<Option<String>>,
    parent_root: Option<i64>,
    /// Whether a reference with some nulls is a violation.
    pub match_full: bool,
    /// Whether the referencing table's owner can look for parents, in staged columns.
    pub foreseeable: bool,
    /// Whether it refers to the key of a target.
    pub refers_to_key: bool,
    constraint: i64,
    /// Whether it may be checked once for a set of rows that are written, instead of by triggers.
    pub set_based: bool,
}

impl ForeignKey {
    /// The referencing table.
    pub fn child(&self) -> Oid {
        oid_of(self.child)
    }

    /// The referenced table.
    pub fn parent(&self) -> Oid {
        oid_of(self.parent)
    }

    /// The constraint.
    pub fn constraint(&self) -> Oid {
        oid_of(self.constraint)
    }

    /// Whether a target that is not the referenced table has rows of it: it is a partition.
    pub fn may_refer_to_part(&self, target: &Target) -> bool {
        self.parent != target.relation
            && self.parent_root.is_some()
            && self.parent_root == target.partition_root
    }
}

/// What the catalog says of some targets.
#[derive(Debug, Deserialize)]
pub struct Description {
    /// The targets.
    pub targets: Vec<Target>,
    /// The foreign keys of which one of them is the referencing table.
    pub foreign_keys: Vec<ForeignKey>,
}

impl Description {
    /// What `forebay.describe_targets` says of so many tables. FB003 if one is not a target, FB004 if
    /// it can't be one any more, 42501 if its owner may not write it.
    pub fn new(description: serde_json::Value, relations: usize) -> Result<Self, Raised> {
        let described: Self = serde_json::from_value(description)
            .map_err(|error| Raised::new("XX000", format!("describe_targets: {error}")))?;
        if described.targets.len() < relations {
            return Err(Raised::new("FB003", "a staged relation is not a target (any more)")
                .with_hint("Register it with forebay.add_target."));
        }
        for target in &described.targets {
            if target.forces_row_security {
                return Err(Raised::new(
                    "FB004",
                    format!("target {} forces row security on its owner", target.display),
                )
                .with_hint(format!(
                    "alter table {} no force row security, or give {} bypassrls",
                    target.name, target.owner_name
                )));
            }
            if let Some(right) = &target.missing_right {
                return Err(Raised::new(
                    "42501",
                    format!("the owner of {} may not {right} there", target.display),
                )
                .with_hint(format!("grant {right} on {} to {}", target.name, target.owner_name)));
            }
        }
        Ok(described)
    }
}

/// The targets of a batch and their foreign keys.
#[derive(Debug)]
pub struct TargetSet {
    /// In the order in which they are written.
    pub targets: Vec<Target>,
    /// Those of which one of them is the referencing table.
    pub foreign_keys: Vec<ForeignKey>,
}

impl TargetSet {
    /// Puts the targets into their order, and the foreign keys into that of their oids.
    pub fn new(targets: Vec<Target>, mut foreign_keys: Vec<ForeignKey>) -> Self {
        foreign_keys.sort_by_key(|foreign_key| foreign_key.constraint);
        let mut set = Self { targets, foreign_keys };
        set.sort_parents_first();
        set
    }

    /// Parents before children, by oid otherwise: one total order for every writer. What a cycle of
    /// foreign keys leaves over follows in order of oid.
    fn sort_parents_first(&mut self) {
        self.targets.sort_by_key(|target| target.relation);
        let mut waiting = std::mem::take(&mut self.targets);
        while !waiting.is_empty() {
            let left: HashSet<i64> = waiting.iter().map(|target| target.relation).collect();
            let waits = |foreign_key: &&ForeignKey| {
                foreign_key.child != foreign_key.parent && left.contains(&foreign_key.parent)
            };
            let children = self.foreign_keys.iter().filter(waits).map(|waiting| waiting.child);
            let blocked: HashSet<i64> = children.collect();
            let ready = waiting.iter().position(|target| !blocked.contains(&target.relation));
            self.targets.push(waiting.remove(ready.unwrap_or(0)));
        }
    }
}

/// An oid travels through JSON as a number; one that is out of range is no table.
fn oid_of(number: i64) -> Oid {
    u32::try_from(number).map_or(Oid::INVALID, Oid::from)
}
