//! Comparing what rows refer to with what is staged.

use super::{Staging, image_of, list, quoted};
use crate::target::ForeignKey;

/// And no row of `parent` that meets the `condition` is what a row `q` refers to.
pub fn is_unstaged(foreign_key: &ForeignKey, parent: Staging, condition: &str) -> String {
    format!(
        " and not exists (select from {} where {} and s._op <> 'd' and {}{condition})",
        parent.rows(),
        parent.of_run(),
        same_staged_key(foreign_key, parent)
    )
}

/// Whether the staged row `s` of the parent has the key that a row `q` refers to.
pub fn same_staged_key(foreign_key: &ForeignKey, parent: Staging) -> String {
    let keys = foreign_key.parent_columns.iter().filter_map(|name| parent.target.column(name));
    let same = foreign_key.child_columns.iter().zip(keys).zip(&foreign_key.equalities);
    list(same.zip(&foreign_key.collations), " and ", |(((name, key), equality), collation)| {
        let key = collated(image_of(key), collation.as_deref());
        format!("{key} {equality} q.{}", quoted(name))
    })
}

/// A value, in a collation if one is given.
pub fn collated(value: String, collation: Option<&str>) -> String {
    match collation {
        Some(collation) => format!("({value} collate {collation})"),
        None => value,
    }
}
