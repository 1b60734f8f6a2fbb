//! The statements of a merge: the one place where identifiers become SQL.
//!
//! In all of them `s` is the staging table and `t` the target. The statements for a run of events
//! take the batch as `$1`, the first and the last event as `$2` and `$3`; those for a single row take
//! its place (`ctid`) in the staging table as `$1`. The target is reached by its key: a look-up for
//! one staged row at a time, in a lateral subquery with a limit, which the planner cannot turn into
//! a join that reads the whole target.
//!
//! Plans are kept, and so are made before an array is known: `in (select unnest($4))` is hashed all the
//! same, where `= any ($4)` would be searched from its beginning for each row. (Rows whose place is any of
//! `$4` are fetched, and not searched for.)
//!
//! - [`shape`]: which columns rows name
//! - [`staged`]: reading what is staged
//! - [`look`]: finding what a run would violate
//! - [`set`]: writing a run as one set
//! - [`reference`]: comparing what rows refer to with what is staged
//! - [`row`]: applying a single row

pub mod look;
mod reference;
pub mod row;
pub mod set;
pub mod shape;
pub mod staged;

use crate::failpoint;
use crate::target::{Adjust, Column, Policy, Target};
use shape::Shape;

/// A staging table of a target.
#[derive(Clone, Copy)]
pub struct Staging<'a> {
    /// The target.
    pub target: &'a Target,
    /// The slot that the transaction holds.
    pub slot: i32,
    /// Whether the run is the whole batch.
    pub is_whole: bool,
    /// Whether its rows stand in the order of their keys.
    pub is_ordered: bool,
}

impl Staging<'_> {
    /// `forebay_staging."t<id>_<slot>" s`
    fn rows(&self) -> String {
        format!("forebay_staging.{} s", quoted(&format!("t{}_{}", self.target.id, self.slot)))
    }

    /// Puts the rows in the order of their keys, in which all sessions lock and write them. Nothing if
    /// they stand so: the planner reads them as they stand.
    fn in_key_order(&self) -> String {
        if self.is_ordered {
            String::new()
        } else {
            format!(" order by {}", key_images(self.target))
        }
    }

    /// The rows of the run. The planner takes a range for very few rows, and these comparisons for a
    /// third each.
    fn of_run(&self) -> &'static str {
        if self.is_whole {
            "s._batch >= $1"
        } else {
            "s._batch >= $1 and int4ge(s._event, $2) and int4le(s._event, $3)"
        }
    }
}

/// `"name"`, with quotes doubled.
pub fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// `'text'`, with quotes doubled.
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\'\'");
    format!("e'{escaped}'")
}

fn list<T>(
    items: impl IntoIterator<Item = T>,
    separator: &str,
    form: impl Fn(T) -> String,
) -> String {
    items.into_iter().map(form).collect::<Vec<_>>().join(separator)
}

/// Conditions of which any may hold; `false` if there are none.
fn any_of(conditions: impl IntoIterator<Item = String>) -> String {
    let conditions: Vec<_> = conditions.into_iter().collect();
    if conditions.is_empty() {
        "false".to_owned()
    } else {
        format!("({})", conditions.join(" or "))
    }
}

/// The staged value of a column, as an insert or update takes it.
fn value_of(column: &Column) -> String {
    let name = quoted(&column.name);
    if column.is_literal {
        let (null, type_modifier) = (&column.typed_null, column.type_modifier);
        format!("forebay_staging.input(s.{name}, {null}, {type_modifier})")
    } else {
        format!("s.{name}")
    }
}

/// The staged value of a column, as it will be stored: what it is compared by.
fn image_of(column: &Column) -> String {
    let value = value_of(column);
    let adjusted = match &column.adjust {
        Some(Adjust { function, arguments: 3 }) => {
            format!("{function}({value}, {}, false)", column.type_modifier)
        }
        Some(Adjust { function, .. }) => format!("{function}({value}, {})", column.type_modifier),
        None => value,
    };
    match &column.collation {
        Some(collation) => format!("({adjusted} collate {collation})"),
        None => adjusted,
    }
}

/// The key of a staged row, as a list.
fn key_images(target: &Target) -> String {
    list(target.key_columns(), ", ", image_of)
}

/// Whether a stored row has the key of the staged one.
fn same_key(target: &Target) -> String {
    list(target.key_columns(), " and ", |column| {
        let equality = column.equality.as_deref().unwrap_or("=");
        format!("t.{} {equality} {}", quoted(&column.name), image_of(column))
    })
}

/// The target itself, without the tables that inherit from it.
fn target_rows(target: &Target) -> String {
    if target.partitioned { target.name.clone() } else { format!("only {}", target.name) }
}

/// Whether the images of these columns differ between the stored row and the staged one. Records are
/// slow to compare, so only what equality does not decide is compared as such; their casts keep
/// PostgreSQL from comparing field by field, which it does for plain row constructors.
fn images_differ<'a>(shape: &Shape<'a>, columns: impl Iterator<Item = &'a Column>) -> String {
    if let Shape::Mixed(_) = shape {
        return any_of(
            columns
                .map(|column| format!("{} and {}", shape::is_named(column), image_differs(column))),
        );
    }
    let (plain, others): (Vec<_>, Vec<_>) = columns.partition(|column| column.equal_is_same);
    let mut conditions: Vec<_> = plain.into_iter().map(image_differs).collect();
    if !others.is_empty() {
        conditions.push(records_differ(&others));
    }
    any_of(conditions)
}

fn image_differs(column: &Column) -> String {
    if column.equal_is_same {
        format!("t.{} is distinct from {}", quoted(&column.name), image_of(column))
    } else {
        records_differ(&[column])
    }
}

fn records_differ(columns: &[&Column]) -> String {
    format!(
        "row({})::record operator(pg_catalog.*<>) row({})::record",
        list(columns, ", ", |column| format!("t.{}", quoted(&column.name))),
        list(columns, ", ", |column| image_of(column))
    )
}

/// Whether a column's stored value differs from the staged one by the type's own equality.
fn value_differs(column: &Column) -> String {
    let (name, image) = (quoted(&column.name), image_of(column));
    match &column.equality {
        Some(equality) => format!(
            "((t.{name} is null) <> ({image} is null) \
             or not coalesce(t.{name} {equality} {image}, true))"
        ),
        None => records_differ(&[column]),
    }
}

/// Whether a stored row differs from a staged one in a way that matters to the policy: it is to be
/// updated, or, for `identical`, the event is to be rejected.
fn differs(target: &Target, shape: &Shape) -> String {
    match target.policy {
        Policy::Update => images_differ(shape, shape.values(target)),
        Policy::Newest => {
            format!("({}) and {}", is_newer(target), images_differ(shape, shape.values(target)))
        }
        Policy::Identical => any_of(shape.compared(target).map(|column| match shape {
            Shape::Mixed(_) => format!("{} and {}", shape::is_named(column), value_differs(column)),
            _ => value_differs(column),
        })),
        Policy::Insert | Policy::Ignore | Policy::Append | Policy::Resolve => "false".to_owned(),
    }
}

/// Whether the stored row's version is null or less than the staged one's.
fn is_newer(target: &Target) -> String {
    let version = target.version.as_deref().and_then(|version| target.column(version));
    version.map_or_else(
        || "false".to_owned(),
        |column| {
            let (name, image) = (quoted(&column.name), image_of(column));
            let less = column.less.as_deref().unwrap_or("<");
            let newer = if failpoint::is_mutant("version_tie") {
                format!("not coalesce({image} {less} t.{name}, false)")
            } else {
                format!("coalesce(t.{name} {less} {image}, false)")
            };
            format!("t.{name} is null or {newer}")
        },
    )
}

/// Whether writing the staged row moves a value that another unique index looks at.
fn moves_guard(target: &Target, shape: &Shape) -> String {
    let guarded = shape.values(target).filter(|column| target.guard.contains(&column.name));
    let moves = images_differ(shape, guarded);
    match target.policy {
        Policy::Update => moves,
        Policy::Newest => format!("({}) and ({moves})", is_newer(target)),
        _ => "false".to_owned(),
    }
}
