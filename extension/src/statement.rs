//! The statements of a merge: the one place where identifiers become SQL.
//!
//! In all of them `s` is the staging table, `t` the target, and `$1` the batch or, for a single
//! row, its place (`ctid`) in the staging table. The target is reached by its key: a look-up for
//! one staged row at a time, in a lateral subquery with a limit, which the planner cannot turn into
//! a join that reads the whole target.

use crate::target::{Adjust, Column, ForeignKey, Policy, Target};

/// A staging table of a target.
#[derive(Clone, Copy)]
pub struct Staging<'a> {
    /// The target.
    pub target: &'a Target,
    /// The slot that the transaction holds.
    pub slot: i32,
}

/// The columns that an event names, split by what they are for.
#[derive(Clone)]
pub struct Named<'a> {
    target: &'a Target,
    columns: Vec<&'a Column>,
}

impl<'a> Named<'a> {
    /// The columns with these numbers, and the key, which every row has; all if none are given.
    pub fn new(target: &'a Target, given: Option<&[i16]>) -> Self {
        let is_named = |column: &&Column| {
            given.is_none_or(|given| given.contains(&column.attnum))
                || target.key.contains(&column.name)
        };
        Named { target, columns: target.columns.iter().filter(is_named).collect() }
    }

    /// Whether a column outside the key is named.
    pub fn has_values(&self) -> bool {
        self.values().next().is_some()
    }

    fn values(&self) -> impl Iterator<Item = &'a Column> {
        let target = self.target;
        self.columns.iter().copied().filter(move |column| !target.key.contains(&column.name))
    }

    fn guarded(&self) -> impl Iterator<Item = &'a Column> {
        let target = self.target;
        self.values().filter(move |column| target.guard.contains(&column.name))
    }

    fn compared(&self) -> impl Iterator<Item = &'a Column> {
        let target = self.target;
        self.values().filter(move |column| {
            target.compare.as_ref().is_none_or(|compare| compare.contains(&column.name))
        })
    }
}

/// `"name"`, with quotes doubled.
pub fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// `'text'`, with quotes doubled.
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    format!("e'{escaped}'")
}

fn list<T>(
    items: impl IntoIterator<Item = T>,
    separator: &str,
    form: impl Fn(T) -> String,
) -> String {
    items.into_iter().map(form).collect::<Vec<_>>().join(separator)
}

/// The columns of the target.
fn stored<'a>(alias: &str, columns: impl IntoIterator<Item = &'a Column>) -> String {
    list(columns, ", ", |column| format!("{alias}{}", quoted(&column.name)))
}

fn names_of(alias: &str, names: &[String]) -> String {
    list(names, ", ", |name| format!("{alias}{}", quoted(name)))
}

/// The staged value of a column, as an insert or update takes it.
fn value_of(column: &Column) -> String {
    let name = quoted(&column.name);
    match &column.typed_null {
        Some(null) => format!("forebay_staging.input(s.{name}, {null}, {})", column.type_modifier),
        None => format!("s.{name}"),
    }
}

fn values_of<'a>(columns: impl IntoIterator<Item = &'a Column>) -> String {
    list(columns, ", ", value_of)
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

fn images_of<'a>(columns: impl IntoIterator<Item = &'a Column>) -> String {
    list(columns, ", ", image_of)
}

/// Whether two images differ; `false` where there is nothing to compare. The casts keep PostgreSQL
/// from comparing field by field, which it does for plain row constructors.
fn image_differs<'a>(columns: impl Iterator<Item = &'a Column> + Clone) -> String {
    if columns.clone().next().is_none() {
        return "false".to_owned();
    }
    format!(
        "row({})::record operator(pg_catalog.*<>) row({})::record",
        stored("t.", columns.clone()),
        images_of(columns)
    )
}

fn column_differs(column: &Column) -> String {
    let (name, image) = (quoted(&column.name), image_of(column));
    match &column.equality {
        Some(equality) => format!(
            "(t.{name} is null) <> ({image} is null) or not coalesce(t.{name} {equality} {image}, true)"
        ),
        None => format!("row(t.{name})::record operator(pg_catalog.*<>) row({image})::record"),
    }
}

/// Whether a stored row differs from a staged one in a way that matters to the policy.
fn differs(named: &Named) -> String {
    if named.target.policy == Policy::Identical {
        let condition = list(named.compared(), " or ", column_differs);
        return if condition.is_empty() { "false".to_owned() } else { condition };
    }
    image_differs(named.values().collect::<Vec<_>>().into_iter())
}

fn moves_guard(named: &Named) -> String {
    image_differs(named.guarded().collect::<Vec<_>>().into_iter())
}

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

impl Staging<'_> {
    /// `forebay_staging."t<id>_<slot>" s`
    pub fn rows(&self) -> String {
        format!("forebay_staging.{} s", quoted(&format!("t{}_{}", self.target.id, self.slot)))
    }

    /// Rows, deletes, rows that name all columns, and the least and greatest set of named columns.
    pub fn count(&self) -> String {
        format!(
            "select count(*), count(*) filter (where s._op = 'd'), \
             count(*) filter (where s._given is null), min(s._given), max(s._given) \
             from {} where s._batch >= $1",
            self.rows()
        )
    }

    /// Removes the rows of the events `$2`.
    pub fn remove_events(&self) -> String {
        format!("delete from {} where s._batch >= $1 and s._event = any ($2)", self.rows())
    }

    /// Whether a key stands twice in the batch.
    pub fn repeats_key(&self) -> String {
        format!(
            "select exists (select from {} where s._batch >= $1 group by {} having count(*) > 1)",
            self.rows(),
            images_of(self.target.key_columns())
        )
    }

    /// Every row's event, row number, operation, named columns and place.
    pub fn row_places(&self) -> String {
        format!(
            "select s._event, s._row, s._op = 'd', s._given, s.ctid from {} where s._batch >= $1",
            self.rows()
        )
    }

    /// How many staged rows have a stored row, how many of these differ, and whether one of them
    /// would move a value that another unique index looks at.
    pub fn look(&self, named: &Named) -> String {
        format!(
            "select count(l.differs), count(*) filter (where l.differs), \
             coalesce(bool_or(l.moves), false) \
             from {} left join lateral (select {} as differs, {} as moves from {} t \
             where {} limit 1) l on true where s._batch >= $1",
            self.rows(),
            differs(named),
            moves_guard(named),
            target_rows(self.target),
            same_key(self.target)
        )
    }

    /// Locks the stored rows that differ, in order of the key. Answers whether one of them would
    /// move a value that another unique index looks at.
    pub fn lock_differing(&self, named: &Named) -> String {
        format!(
            "select coalesce(bool_or(l.moves), false) \
             from (select * from {} where s._batch >= $1 order by {} offset 0) s \
             cross join lateral (select {} as moves from {} t where {} and {} limit 1 for update) l",
            self.rows(),
            images_of(self.target.key_columns()),
            moves_guard(named),
            target_rows(self.target),
            same_key(self.target),
            differs(named)
        )
    }

    /// Updates the stored rows that differ.
    pub fn update_differing(&self, named: &Named) -> String {
        self.update(named, "s._batch >= $1")
    }

    /// Inserts all rows of the batch; only those without a stored row if `only_new`.
    pub fn insert(&self, named: &Named, only_new: bool) -> String {
        let target = self.target;
        let (join, condition) = if only_new {
            (
                format!(
                    " left join lateral (select true as found from {} t where {} limit 1) l on true",
                    target_rows(target),
                    same_key(target)
                ),
                " and l.found is null",
            )
        } else {
            (String::new(), "")
        };
        let order = match target.policy {
            Policy::Append => String::new(),
            _ => format!(" order by {}", images_of(target.key_columns())),
        };
        format!(
            "{} select {} from {}{join} where s._batch >= $1{condition}{order}",
            insert_into(named),
            values_of(named.columns.iter().copied()),
            self.rows()
        )
    }

    /// Inserts the first row of each key, and leaves stored rows alone.
    pub fn insert_ignoring(&self, named: &Named) -> String {
        let key = images_of(self.target.key_columns());
        format!(
            "{} select distinct on ({key}) {} from {} where s._batch >= $1 \
             order by {key}, s._event, s._row on conflict ({}) do nothing",
            insert_into(named),
            values_of(named.columns.iter().copied()),
            self.rows(),
            names_of("", &self.target.key)
        )
    }

    /// Updates the stored row of the staged row at `$1`, if it differs.
    pub fn update_one(&self, named: &Named) -> String {
        self.update(named, "s.ctid = $1")
    }

    /// Inserts the staged row at `$1`, if its key is not stored.
    pub fn insert_one(&self, named: &Named) -> String {
        let target = self.target;
        if named.columns.is_empty() {
            return format!("insert into {} default values", target.name);
        }
        let is_new = match target.policy {
            Policy::Append => String::new(),
            _ => format!(
                " and not exists (select from {} t where {})",
                target_rows(target),
                same_key(target)
            ),
        };
        let on_conflict = match target.policy {
            Policy::Ignore => {
                format!(" on conflict ({}) do nothing", names_of("", &target.key))
            }
            _ => String::new(),
        };
        format!(
            "{} select {} from {} where s.ctid = $1{is_new}{on_conflict}",
            insert_into(named),
            values_of(named.columns.iter().copied()),
            self.rows()
        )
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
    pub fn differing_columns(&self, named: &Named) -> String {
        let names = list(named.compared(), ", ", |column| {
            format!("case when {} then {} end", column_differs(column), literal(&column.name))
        });
        let names = if names.is_empty() { "null".to_owned() } else { names };
        format!(
            "select nullif(concat_ws(', ', {names}), '') from {} join {} t on {} where s.ctid = $1",
            self.rows(),
            target_rows(self.target),
            same_key(self.target)
        )
    }

    fn update(&self, named: &Named, which: &str) -> String {
        format!(
            "update {} t set {} from {} where {which} and {} and {}",
            target_rows(self.target),
            list(named.values(), ", ", |column| {
                format!("{} = {}", quoted(&column.name), value_of(column))
            }),
            self.rows(),
            same_key(self.target),
            differs(named)
        )
    }
}

fn insert_into(named: &Named) -> String {
    format!(
        "insert into {} ({}) overriding system value",
        named.target.name,
        stored("", named.columns.iter().copied())
    )
}

/// Whether a child row refers to a key that only a later event gives.
pub fn parent_comes_later(foreign_key: &ForeignKey, child: Staging, parent: Staging) -> String {
    let numbered = |names: &[String]| {
        list(names.iter().enumerate(), ", ", |(number, name)| {
            format!("s.{} as k{number}", quoted(name))
        })
    };
    let given =
        |names: &[String]| list(names, " and ", |name| format!("s.{} is not null", quoted(name)));
    let keys = list(0..foreign_key.child_columns.len(), ", ", |number| format!("k{number}"));
    format!(
        "select exists (select from (\
         select {}, s._event as event, true as is_child from {} where s._batch >= $1 and {} \
         union all select {}, s._event, false from {} where s._batch >= $1 and {}) u \
         group by {keys} having min(event) filter (where is_child) \
         < min(event) filter (where not is_child))",
        numbered(&foreign_key.child_columns),
        child.rows(),
        given(&foreign_key.child_columns),
        numbered(&foreign_key.parent_columns),
        parent.rows(),
        given(&foreign_key.parent_columns),
    )
}
