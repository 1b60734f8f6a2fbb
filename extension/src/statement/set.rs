//! Writing a run as one set.

use super::reference::is_unstaged;
use super::shape::{self, Shape, names};
use super::{
    Staging, any_of, differs, image_of, key_images, list, moves_guard, quoted, same_key,
    target_rows, value_of,
};
use crate::target::{ForeignKey, Policy};

/// Which of a run's rows that don't delete a statement takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All of them.
    All,
    /// Those whose places in the staging table are `$4`.
    These,
    /// Those whose places are not `$4`.
    Others,
}

impl Taken {
    fn condition(self) -> &'static str {
        match self {
            Self::All => "",
            Self::These => " and s.ctid = any ($4)",
            Self::Others => " and s.ctid not in (select unnest($4))",
        }
    }
}

impl Staging<'_> {
    fn upserts(&self, taken: Taken) -> String {
        format!("{} and s._op <> 'd'{}", self.of_run(), taken.condition())
    }

    /// Locks the stored rows that differ, in order of the key. Answers whether one of them would
    /// move a value that another unique index looks at.
    pub fn lock_differing(&self, shape: &Shape, taken: Taken) -> String {
        let target = self.target;
        format!(
            "select coalesce(bool_or(l.moves), false) \
             from (select s.* from {} where {}{} offset 0) s \
             cross join lateral (select {} as moves from {} t where {} and {} limit 1 for update) l",
            self.rows(),
            self.upserts(taken),
            self.in_key_order(),
            moves_guard(target, shape),
            target_rows(target),
            same_key(target),
            differs(target, shape)
        )
    }

    /// Whether a row refers to what is not stored. Locks what the others refer to as a foreign key does,
    /// in order. What `written` has is stored, and needs no lock, since this transaction has written it.
    pub fn misses_parents(
        &self,
        foreign_key: &ForeignKey,
        taken: Taken,
        written: Option<Staging>,
    ) -> String {
        let columns =
            || foreign_key.child_columns.iter().filter_map(|name| self.target.column(name));
        let numbers: Vec<_> = (1..).zip(columns()).map(|(number, _)| number).collect();
        let given = columns().map(|column| format!("{} is not null", image_of(column)));
        let given =
            if foreign_key.match_full { any_of(given) } else { list(given, " and ", |one| one) };
        let parts = numbers.iter().zip(&foreign_key.parent_columns).zip(&foreign_key.equalities);
        let is_parent = list(parts, " and ", |((number, parent), equality)| {
            format!("p.{} {equality} f.c{number}", quoted(parent))
        });
        let named = list(&numbers, ", ", |number| format!("c{number}"));
        let references = format!(
            "select {} from {} where {} and ({given})",
            list(columns(), ", ", |column| format!(
                "{} as {}",
                image_of(column),
                quoted(&column.name)
            )),
            self.rows(),
            self.upserts(taken),
        );
        format!(
            "select count(*) > 0 from (select distinct {} from ({references} offset 0) q \
             where true{} order by {} offset 0) f({named}) \
             where not exists (select from {} p where {is_parent} for key share)",
            list(&foreign_key.child_columns, ", ", |name| format!("q.{}", quoted(name))),
            written.map(|parent| is_unstaged(foreign_key, parent, "")).unwrap_or_default(),
            list(&numbers, ", ", i32::to_string),
            foreign_key.parent_rows,
        )
    }

    /// Updates the stored rows that differ, in order of the key.
    pub fn update_differing(&self, shape: &Shape, taken: Taken) -> String {
        let target = self.target;
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
            "update {} t set {assignments} from (select s.* from {} where {}{} offset 0) s \
             where {} and {}",
            target_rows(target),
            self.rows(),
            self.upserts(taken),
            self.in_key_order(),
            same_key(target),
            differs(target, shape)
        )
    }

    /// Inserts rows, of those that name exactly the columns of `shape`, if only some do.
    pub fn insert(&self, shape: &Shape, taken: Taken, mixed: bool) -> String {
        let target = self.target;
        let names_these = match shape {
            _ if !mixed => String::new(),
            Shape::Some(given) => {
                let given = list(given.iter(), ",", i16::to_string);
                format!(" and s._given = '{{{given}}}'::int2[]")
            }
            Shape::All | Shape::Mixed(_) => " and s._given is null".to_owned(),
        };
        let order = match target.policy {
            Policy::Append => " order by s._event, s._row".to_owned(),
            _ => self.in_key_order(),
        };
        format!(
            "insert into {} ({}) overriding system value \
             select {} from {} where {}{names_these}{order}",
            target.name,
            names(shape.columns(target)),
            list(shape.columns(target), ", ", value_of),
            self.rows(),
            self.upserts(taken)
        )
    }

    /// Inserts the first row of each key, and leaves stored rows alone. If `repeats`, a key may stand
    /// twice.
    pub fn insert_ignoring(&self, shape: &Shape, repeats: bool) -> String {
        let target = self.target;
        let (rows, upserts) = (self.rows(), self.upserts(Taken::All));
        let place = "(s._event::int8 << 32 | s._row)";
        let first = if repeats {
            let key = key_images(target);
            format!(
                " and {place} in (select min({place}) from {rows} where {upserts} group by {key}) \
                 order by {key}"
            )
        } else {
            self.in_key_order()
        };
        format!(
            "insert into {} ({}) overriding system value \
             select {} from {rows} where {upserts}{first} on conflict ({}) do nothing",
            target.name,
            names(shape.columns(target)),
            list(shape.columns(target), ", ", value_of),
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
