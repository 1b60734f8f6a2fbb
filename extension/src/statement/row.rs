//! Applying a single row.

use super::shape::{Shape, names};
use super::{
    Staging, differs, key_images, list, literal, quoted, same_key, target_rows, value_differs,
    value_of,
};
use crate::target::Policy;

impl Staging<'_> {
    /// Updates the stored row of the staged row at `$1`, if it differs.
    pub fn update_one(&self, shape: &Shape) -> String {
        let target = self.target;
        format!(
            "update {} t set {} from {} where s.ctid = $1 and {} and {}",
            target_rows(target),
            list(shape.values(target), ", ", |column| {
                format!("{} = {}", quoted(&column.name), value_of(column))
            }),
            self.rows(),
            same_key(target),
            differs(target, shape)
        )
    }

    /// Inserts the staged row at `$1`; unless the policy leaves the conflict to the table, only if
    /// its key is not stored.
    pub fn insert_one(&self, shape: &Shape) -> String {
        let target = self.target;
        let columns = names(shape.columns(target));
        if columns.is_empty() {
            return format!("insert into {} default values", target.name);
        }
        let is_new = match target.policy {
            Policy::Append | Policy::Insert => String::new(),
            _ => format!(
                " and not exists (select from {} t where {})",
                target_rows(target),
                same_key(target)
            ),
        };
        let on_conflict = match target.policy {
            Policy::Ignore => format!(" on conflict ({}) do nothing", names(target.key_columns())),
            _ => String::new(),
        };
        format!(
            "insert into {} ({columns}) overriding system value \
             select {} from {} where s.ctid = $1{is_new}{on_conflict}",
            target.name,
            list(shape.columns(target), ", ", value_of),
            self.rows()
        )
    }

    /// The key of the staged row at `$1`, which raises if it is no value of its type.
    pub fn key_of_one(&self) -> String {
        format!("select {} from {} where s.ctid = $1", key_images(self.target), self.rows())
    }

    /// Deletes the stored row with the key of the staged row at `$1`.
    pub fn delete_one(&self) -> String {
        format!(
            "delete from {} t using {} where s.ctid = $1 and {}",
            target_rows(self.target),
            self.rows(),
            same_key(self.target)
        )
    }

    /// The names of the compared columns in which the stored row differs from the staged row at
    /// `$1`; no row if nothing is stored.
    pub fn differing_columns(&self, shape: &Shape) -> String {
        let names = list(shape.compared(self.target), ", ", |column| {
            format!("case when {} then {} end", value_differs(column), literal(&column.name))
        });
        format!(
            "select nullif(array_to_string(array[{names}]::text[], ', '), '') from {} join {} t on {} where s.ctid = $1",
            self.rows(),
            target_rows(self.target),
            same_key(self.target)
        )
    }
}
