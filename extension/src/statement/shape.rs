//! Which columns rows name.

use super::quoted;
use crate::target::{Column, Target};

/// How the rows of a run, or a single row, name the columns of their target. The key is always
/// named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Shape<'a> {
    /// All.
    All,
    /// Those with these numbers.
    Some(&'a [i16]),
    /// Each row says so itself, in `_given`: any of those with these numbers; of all if there are none.
    Mixed(Option<&'a [i16]>),
}

impl<'a> Shape<'a> {
    /// Whether a column is named; if the rows are [`Shape::Mixed`], whether any of them may name it.
    pub fn names(&self, target: &Target, column: &Column) -> bool {
        match self {
            Shape::All | Shape::Mixed(None) => true,
            Shape::Some(given) | Shape::Mixed(Some(given)) => {
                given.contains(&column.attnum) || target.key.contains(&column.name)
            }
        }
    }

    /// Whether every row names a column.
    pub fn always_names(&self, target: &Target, column: &Column) -> bool {
        match self {
            Shape::Mixed(_) => target.key.contains(&column.name),
            Shape::All | Shape::Some(_) => self.names(target, column),
        }
    }

    /// Whether the values that rows will have in these columns can be foreseen. A null in place of a
    /// default that is no constant may violate what the default does not, and the other way round.
    pub fn knows_all(&self, target: &Target, columns: &[String]) -> bool {
        columns.iter().filter_map(|name| target.column(name)).all(|column| {
            let has_unknown_default = column.has_default && column.constant_default.is_none();
            self.always_names(target, column) || !has_unknown_default
        })
    }

    /// The named columns.
    pub fn columns(&self, target: &'a Target) -> impl Iterator<Item = &'a Column> {
        target.columns.iter().filter(|column| self.names(target, column))
    }

    /// The named columns that an update writes: those outside the key, but for those set once.
    pub fn values(&self, target: &'a Target) -> impl Iterator<Item = &'a Column> {
        self.outside_key(target).filter(|column| !column.is_set_once)
    }

    fn outside_key(&self, target: &'a Target) -> impl Iterator<Item = &'a Column> {
        self.columns(target).filter(|column| !target.key.contains(&column.name))
    }

    /// The named columns that must be equal, for `identical`.
    pub fn compared(&self, target: &'a Target) -> impl Iterator<Item = &'a Column> {
        self.outside_key(target).filter(|column| {
            target.compare.as_ref().is_none_or(|compare| compare.contains(&column.name))
        })
    }
}

/// Whether the staged row names a column, as SQL.
pub fn is_named(column: &Column) -> String {
    format!("(s._given is null or {}::int2 = any (s._given))", column.attnum)
}

/// The list of these columns in the target.
pub fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    super::list(columns, ", ", |column| quoted(&column.name))
}
