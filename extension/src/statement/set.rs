//! Writing a run as one set.

use super::shape::{self, Shape, names};
use super::{
    Staging, differs, key_images, list, moves_guard, quoted, same_key, target_rows, value_of,
};
use crate::target::Policy;

/// Which rows of a run are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All: no key stands twice.
    All,
    /// The last one of each key.
    Last,
}

impl Staging<'_> {
    /// The rows of a run that write a row, as `s`.
    fn source(&self, which: Which) -> String {
        let (rows, of_run) = (self.rows(), self.of_run());
        match which {
            Which::All => {
                format!("(select s.* from {rows} where {of_run} and s._op <> 'd' offset 0) s")
            }
            Which::Last => {
                let key = key_images(self.target);
                format!(
                    "(select distinct on ({key}) s.* from {rows} where {of_run} and s._op <> 'd' \
                     order by {key}, s._event desc, s._row desc) s"
                )
            }
        }
    }

    /// Locks the stored rows that differ, in order of the key. Answers whether one of them would
    /// move a value that another unique index looks at.
    pub fn lock_differing(&self, shape: &Shape, which: Which) -> String {
        let target = self.target;
        format!(
            "select coalesce(bool_or(l.moves), false) \
             from (select * from {} order by {} offset 0) s \
             cross join lateral (select {} as moves from {} t where {} and {} limit 1 for update) l",
            self.source(which),
            key_images(target),
            moves_guard(target, shape),
            target_rows(target),
            same_key(target),
            differs(target, shape)
        )
    }

    /// Updates the stored rows that differ.
    pub fn update_differing(&self, shape: &Shape, which: Which) -> String {
        let target = self.target;
        let source = match which {
            Which::All => self.rows(),
            Which::Last => self.source(which),
        };
        let of_run = match which {
            Which::All => format!("{} and s._op <> 'd' and ", self.of_run()),
            Which::Last => String::new(),
        };
        let assignments = list(shape.values(target), ", ", |column| {
            let name = quoted(&column.name);
            match shape {
                Shape::Mixed(_) => format!(
                    "{name} = case when {} then {} else t.{name} end",
                    shape::is_named(column),
                    value_of(column)
                ),
                _ => format!("{name} = {}", value_of(column)),
            }
        });
        format!(
            "update {} t set {assignments} from {source} where {of_run}{} and {}",
            target_rows(target),
            same_key(target),
            differs(target, shape)
        )
    }

    /// Inserts the rows that have no stored row, of those that name exactly the columns of `shape`,
    /// if only some do.
    pub fn insert_new(&self, shape: &Shape, which: Which, looks: bool, mixed: bool) -> String {
        let target = self.target;
        let join = if looks {
            format!(
                " left join lateral (select true as found from {} t where {} limit 1) l on true",
                target_rows(target),
                same_key(target)
            )
        } else {
            String::new()
        };
        let mut conditions = Vec::new();
        if looks {
            conditions.push("l.found is null".to_owned());
        }
        if mixed {
            conditions.push(match shape {
                Shape::Some(given) => {
                    let given = list(given.iter(), ",", i16::to_string);
                    format!("s._given = '{{{given}}}'::int2[]")
                }
                Shape::All | Shape::Mixed(_) => "s._given is null".to_owned(),
            });
        }
        let condition = if conditions.is_empty() {
            String::new()
        } else {
            format!(" where {}", conditions.join(" and "))
        };
        let order = match target.policy {
            Policy::Append => " order by s._event, s._row".to_owned(),
            _ => format!(" order by {}", key_images(target)),
        };
        format!(
            "insert into {} ({}) overriding system value select {} from {}{join}{condition}{order}",
            target.name,
            names(shape.columns(target)),
            list(shape.columns(target), ", ", value_of),
            self.source(which)
        )
    }

    /// Inserts the first row of each key, and leaves stored rows alone.
    pub fn insert_ignoring(&self, shape: &Shape) -> String {
        let (target, key) = (self.target, key_images(self.target));
        format!(
            "insert into {} ({}) overriding system value \
             select distinct on ({key}) {} from {} where {} and s._op <> 'd' \
             order by {key}, s._event, s._row on conflict ({}) do nothing",
            target.name,
            names(shape.columns(target)),
            list(shape.columns(target), ", ", value_of),
            self.rows(),
            self.of_run(),
            names(target.key_columns())
        )
    }

    /// Deletes the stored rows whose keys the run deletes.
    pub fn delete_given(&self) -> String {
        format!(
            "delete from {} t using {} where {} and s._op = 'd' and {}",
            target_rows(self.target),
            self.rows(),
            self.of_run(),
            same_key(self.target)
        )
    }
}
