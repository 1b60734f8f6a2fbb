//! What a merge knows of its targets.

use pgrx::JsonB;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
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
    /// It stays if the compared columns are equal; the event is rejected else.
    Identical,
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
    /// The equality of its type, as `operator(schema.name)`; none if the type has none.
    pub equality: Option<String>,
    /// A null of its type, if it is staged as text; none if it is staged as it is.
    pub typed_null: Option<String>,
    /// Its type modifier; -1 if it has none.
    pub type_modifier: i32,
    /// What adjusts a staged value to the type modifier.
    pub adjust: Option<Adjust>,
    /// Its collation, if it is not its type's own, qualified and quoted.
    pub collation: Option<String>,
}

/// The function that an assignment adjusts a value to a type modifier with.
#[derive(Debug, Clone, Deserialize)]
pub struct Adjust {
    /// Qualified and quoted.
    pub function: String,
    /// How many arguments it takes: the third, if any, says whether the cast is explicit.
    pub arguments: i32,
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
    /// Whether the rows live in partitions.
    pub partitioned: bool,
    owner: i64,
    /// The owner's name.
    pub owner_name: String,
    /// A right on the table that its owner lacks.
    pub missing_right: Option<String>,
    /// What an existing row means.
    pub policy: Policy,
    /// The key columns, unquoted; none for `append`.
    pub key: Vec<String>,
    /// The unique index over the key.
    pub key_constraint: Option<String>,
    /// For `identical`: the columns that must be equal, if not all.
    pub compare: Option<Vec<String>>,
    /// The staged columns, in order of attnum.
    pub columns: Vec<Column>,
    /// The columns outside the key that other unique indexes and exclusion constraints look at.
    pub guard: Vec<String>,
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

    /// The staged column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Its owner.
    pub fn owner(&self) -> Oid {
        oid_of(self.owner)
    }
}

/// A foreign key between two targets of a batch.
#[derive(Debug, Clone, Deserialize)]
pub struct ForeignKey {
    child: i64,
    parent: i64,
    /// The referencing columns.
    pub child_columns: Vec<String>,
    /// The referenced columns, in the same order.
    pub parent_columns: Vec<String>,
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
}

/// The targets of a batch and the foreign keys among them.
#[derive(Debug, Clone, Deserialize)]
pub struct TargetSet {
    /// In the order in which they are written.
    pub targets: Vec<Target>,
    /// The foreign keys among them.
    pub foreign_keys: Vec<ForeignKey>,
}

impl TargetSet {
    /// Reads what the catalog says of these tables. FB003 if one is not a target, 42501 if its
    /// owner may not write it.
    pub fn load(relations: &[Oid]) -> Result<Self, Raised> {
        let description = Spi::get_one_with_args::<JsonB>(
            "select forebay.describe_targets($1)",
            &[relations.to_vec().into()],
        )?;
        let JsonB(description) =
            description.ok_or_else(|| Raised::new("XX000", "describe_targets answers nothing"))?;
        let mut set: TargetSet = serde_json::from_value(description)
            .map_err(|error| Raised::new("XX000", format!("describe_targets: {error}")))?;
        if set.targets.len() < relations.len() {
            return Err(Raised::new("FB003", "a staged relation is not a target (any more)")
                .with_hint("Register it with forebay.add_target."));
        }
        for target in &set.targets {
            if let Some(right) = &target.missing_right {
                return Err(Raised::new(
                    "42501",
                    format!("the owner of {} may not {right} there", target.display),
                )
                .with_hint(format!("grant {right} on {} to {}", target.name, target.owner_name)));
            }
        }
        set.sort_parents_first();
        Ok(set)
    }

    /// Parents before children, by oid otherwise: one total order for every writer. What a cycle of
    /// foreign keys leaves over follows in order of oid.
    fn sort_parents_first(&mut self) {
        self.targets.sort_by_key(|target| target.relation);
        let mut waiting = std::mem::take(&mut self.targets);
        while !waiting.is_empty() {
            let ready = waiting.iter().position(|target| {
                !self.foreign_keys.iter().any(|foreign_key| {
                    foreign_key.child == target.relation
                        && foreign_key.parent != target.relation
                        && waiting.iter().any(|other| other.relation == foreign_key.parent)
                })
            });
            self.targets.push(waiting.remove(ready.unwrap_or(0)));
        }
    }
}

/// An oid travels through JSON as a number; one that is out of range is no table.
fn oid_of(number: i64) -> Oid {
    u32::try_from(number).map_or(Oid::INVALID, Oid::from)
}
