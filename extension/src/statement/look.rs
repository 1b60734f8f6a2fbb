//! Finding what a run would violate, before anything is written.
//!
//! A row is judged by its post-image: what it names, else what is stored, else the column's default.
//! A default that is no constant counts as null here; what it violates shows when it is written.

use super::reference::{collated, is_unstaged, same_staged_key};
use super::shape::{self, Shape};
use super::{
    Staging, any_of, differs, image_of, key_images, list, literal, moves_guard, quoted, same_key,
    target_rows,
};
use crate::failpoint;
use crate::target::{Column, ForeignKey, Policy, Target, Unique};

/// What one row violates by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// It must name the version, and does not.
    Versionless,
    /// A row with its key is stored.
    Stored,
    /// The stored row differs where it must not.
    Different,
    /// Null in a column that refuses it.
    Null(String),
    /// A check constraint.
    Check(String),
    /// A stored row has its value in another unique index.
    Taken(String),
}

/// Which of the rows of a run are to write, if nothing is in their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All: no key stands twice.
    All,
    /// The last one of each key.
    Last,
}

/// Which rows with references are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referring {
    /// All.
    All,
    /// Those of the events `$5`.
    OfEvents,
    /// Those that refer to what one of the events `$5` gives.
    ToEvents,
}

/// A look at the rows that a run has for one target.
pub struct Look<'a> {
    staging: Staging<'a>,
    shape: &'a Shape<'a>,
    which: Which,
    reads_target: bool,
    of_events: bool,
}

impl<'a> Look<'a> {
    /// A look at these rows. For `ignore` and `append` it does not read the target, and takes every
    /// row for one that writes.
    pub fn new(staging: Staging<'a>, shape: &'a Shape<'a>, which: Which) -> Self {
        let policy = staging.target.policy;
        let reads_target = !matches!(policy, Policy::Append | Policy::Ignore);
        Self { staging, shape, which, reads_target, of_events: false }
    }

    /// The same look, which does not read the target, and takes every row for one that writes.
    pub fn without_target(self) -> Self {
        Self { reads_target: false, ..self }
    }

    /// The same look, which reads the target in any case.
    pub fn closely(self) -> Self {
        Self { reads_target: !self.target().key.is_empty(), ..self }
    }

    /// A close look at the rows of the events `$4` alone, each taken for one that writes.
    pub fn of_events(self) -> Self {
        Self { which: Which::All, of_events: true, ..self.closely() }
    }

    fn target(&self) -> &'a Target {
        self.staging.target
    }

    /// All that a row of this target can violate by itself; values of other unique indexes only if
    /// `thorough`. Their places number what [`Look::violations`] answers, from 1.
    pub fn kinds(&self, thorough: bool) -> Vec<Violation> {
        let target = self.target();
        let mut kinds = match target.policy {
            Policy::Newest => vec![Violation::Versionless],
            Policy::Insert => vec![Violation::Stored],
            Policy::Identical => vec![Violation::Different],
            _ => Vec::new(),
        };
        let refuses_null = target.columns.iter().filter(|column| self.judges_null(column));
        kinds.extend(refuses_null.map(|column| Violation::Null(column.name.clone())));
        let checks = target.checks.iter().filter(|check| self.knows_all(&check.columns));
        kinds.extend(checks.map(|check| Violation::Check(check.name.clone())));
        if thorough {
            kinds.extend(target.uniques.iter().map(|unique| Violation::Taken(unique.name.clone())));
        }
        kinds
    }

    fn judges_null(&self, column: &Column) -> bool {
        column.not_null && (self.shape.always_names(self.target(), column) || !column.has_default)
    }

    fn knows_all(&self, columns: &[String]) -> bool {
        self.shape.knows_all(self.target(), columns)
    }

    /// The places of rows that later ones replace; places and events of the other rows that are stored
    /// with their keys, and of those of them that are to be updated; the first event that moves a value
    /// which another unique index looks at; and event, row and first violation of each row that has one.
    pub fn violations(&self, kinds: &[Violation]) -> String {
        let mut cases = String::new();
        let (effective, other): (Vec<_>, Vec<_>) = (1..).zip(kinds).partition(|(_, kind)| {
            matches!(kind, Violation::Null(_) | Violation::Check(_) | Violation::Taken(_))
        });
        for (number, kind) in other {
            cases.push_str(&format!(" when {} then {number}", self.condition(kind)));
        }
        if !effective.is_empty() {
            cases.push_str(" when not q._forebay_effective then null");
        }
        for (number, kind) in effective {
            cases.push_str(&format!(" when {} then {number}", self.condition(kind)));
        }
        let problem =
            if cases.is_empty() { "null::int4".to_owned() } else { format!("case{cases} end") };
        let last = match self.which {
            Which::All => "true",
            Which::Last => "q._forebay_last",
        };
        format!(
            "select array_agg(p._forebay_place) filter (where not p._forebay_last), \
             array_agg(p._forebay_place) filter (where p._forebay_last and p._forebay_stored), \
             array_agg(p._event) filter (where p._forebay_last and p._forebay_stored), \
             array_agg(p._forebay_place) filter (where p._forebay_last and p._forebay_differs), \
             array_agg(p._event) filter (where p._forebay_last and p._forebay_differs), \
             min(p._event) filter (where p._forebay_moves), \
             array_agg(p._event) filter (where p._forebay_problem is not null), \
             array_agg(p._row) filter (where p._forebay_problem is not null), \
             array_agg(p._forebay_problem) filter (where p._forebay_problem is not null) \
             from (select q._forebay_place, q._event, q._row, q._forebay_stored, \
             q._forebay_differs, q._forebay_moves, {last} as _forebay_last, {problem} as _forebay_problem \
             from {} q offset 0) p \
             where p._forebay_stored or not p._forebay_last or p._forebay_problem is not null",
            self.post_images(self.reads_target)
        )
    }

    /// Whether a row is not stored just so.
    pub fn has_others(&self) -> String {
        let target = self.target();
        format!(
            "select exists (select from {} where {} and s._op <> 'd' and \
             (select true from {} t where {} and not ({}) limit 1) is null)",
            self.staging.rows(),
            self.staging.of_run(),
            target_rows(target),
            same_key(target),
            differs(target, self.shape)
        )
    }

    /// The rows with their post-images under the columns' own names, and `_forebay_place`,
    /// `_forebay_stored`, `_forebay_differs`, `_forebay_moves`, `_forebay_effective` (whether it
    /// writes, if it violates nothing), `_forebay_last`.
    fn post_images(&self, reads_target: bool) -> String {
        let (target, shape) = (self.target(), self.shape);
        let has_stored = reads_target && !target.key.is_empty();
        let images = list(&target.columns, "", |column| {
            format!(", {} as {}", self.post_image(column, has_stored), quoted(&column.name))
        });
        let last = match self.which {
            Which::All => "true".to_owned(),
            Which::Last => {
                let key = key_images(target);
                format!(
                    "row_number() over (partition by {key} order by s._event desc, s._row desc) = 1"
                )
            }
        };
        let versionless = match target.version.as_deref().and_then(|name| target.column(name)) {
            Some(version) if matches!(shape, Shape::Mixed(_)) => {
                format!("not {}", shape::is_named(version))
            }
            Some(version) => (!shape.names(target, version)).to_string(),
            None => "false".to_owned(),
        };
        let (rows, of_run) = (self.staging.rows(), self.of_run());
        if !has_stored {
            return format!(
                "(select s.ctid as _forebay_place, s._event, s._row, false as _forebay_stored, false as _forebay_differs, \
                 false as _forebay_moves, true as _forebay_effective, {last} as _forebay_last, \
                 {versionless} as _forebay_versionless{images} \
                 from {rows} where {of_run} and s._op <> 'd')"
            );
        }
        let effective = match target.policy {
            Policy::Update | Policy::Newest => "l._forebay_stored is null or l._forebay_differs",
            _ => "l._forebay_stored is null",
        };
        format!(
            "(select s.ctid as _forebay_place, s._event, s._row, \
             coalesce(l._forebay_stored, false) as _forebay_stored, \
             coalesce(l._forebay_differs, false) as _forebay_differs, \
             coalesce(l._forebay_moves, false) as _forebay_moves, \
             {effective} as _forebay_effective, {last} as _forebay_last, \
             {versionless} as _forebay_versionless{images} \
             from {rows} left join lateral (select t.*, true as _forebay_stored, \
             {} as _forebay_differs, {} as _forebay_moves from {} t where {} limit 1) l on true \
             where {of_run} and s._op <> 'd')",
            differs(target, shape),
            moves_guard(target, shape),
            target_rows(target),
            same_key(target)
        )
    }

    fn of_run(&self) -> String {
        let of_run = self.staging.of_run();
        if self.of_events {
            format!("{of_run} and s._event in (select unnest($4))")
        } else {
            of_run.to_owned()
        }
    }

    fn post_image(&self, column: &Column, has_stored: bool) -> String {
        let target = self.target();
        let default = column.constant_default.as_deref().unwrap_or(&column.typed_null);
        let unnamed = if has_stored {
            format!("when l._forebay_stored then l.{} else {default}", quoted(&column.name))
        } else {
            format!("else {default}")
        };
        match self.shape {
            Shape::Mixed(_)
                if self.shape.names(target, column) && !target.key.contains(&column.name) =>
            {
                format!(
                    "case when {} then {} {unnamed} end",
                    shape::is_named(column),
                    image_of(column)
                )
            }
            shape if shape.names(target, column) => image_of(column),
            _ if has_stored => format!("case {unnamed} end"),
            _ => default.to_owned(),
        }
    }

    fn condition(&self, violation: &Violation) -> String {
        let target = self.target();
        match violation {
            Violation::Versionless => "q._forebay_versionless".to_owned(),
            Violation::Stored => "q._forebay_stored".to_owned(),
            Violation::Different => "q._forebay_differs".to_owned(),
            Violation::Null(column) => format!("q.{} is null", quoted(column)),
            Violation::Check(name) => {
                let check = target.checks.iter().find(|check| check.name == *name);
                check.map_or_else(
                    || "false".to_owned(),
                    |check| format!("not ({})", check.expression),
                )
            }
            Violation::Taken(name) => {
                let unique = target.uniques.iter().find(|unique| unique.name == *name);
                unique.map_or_else(|| "false".to_owned(), |unique| self.is_taken(unique))
            }
        }
    }

    /// Whether a stored row with another key has a row's value in this unique index.
    fn is_taken(&self, unique: &Unique) -> String {
        let target = self.target();
        let equal = |column: &Column| {
            let equality = column.equality.as_deref().unwrap_or("=");
            format!("t.{0} {equality} q.{0}", quoted(&column.name))
        };
        let columns = unique.columns.iter().filter_map(|name| target.column(name));
        let same_value = list(columns, " and ", equal);
        let other_key = if target.key.is_empty() {
            String::new()
        } else {
            format!(" and not ({})", list(target.key_columns(), " and ", equal))
        };
        format!("exists (select from {} t where {same_value}{other_key})", target_rows(target))
    }

    /// The rows that share a value of this unique index with another row of the run: event, row and
    /// a number for the value.
    pub fn duplicates(&self, unique: &Unique) -> String {
        let columns = list(&unique.columns, ", ", |name| format!("q.{}", quoted(name)));
        let given =
            list(&unique.columns, " and ", |name| format!("q.{} is not null", quoted(name)));
        format!(
            "select d._event, d._row, d.value from (select q._event, q._row, \
             dense_rank() over (order by {columns}) as value, \
             count(*) over (partition by {columns}) as rows \
             from {} q where q._forebay_effective and {given}) d \
             where d.rows > 1 order by d._event, d._row",
            self.post_images(true)
        )
    }

    /// How many distinct references of the rows have neither a stored parent nor one that an event
    /// no later than theirs gives. `parent` is staged in the same batch.
    ///
    /// Of rows with the same reference the first one decides: hundreds may share it, and as many may
    /// give it.
    pub fn count_orphans(&self, foreign_key: &ForeignKey, parent: Option<Staging>) -> String {
        let names = || foreign_key.child_columns.iter().zip(&foreign_key.collations);
        let value = |name: &str, collation: &Option<String>| {
            collated(format!("q.{}", quoted(name)), collation.as_deref())
        };
        let values = list(names(), ", ", |(name, collation)| value(name, collation));
        let references = list(names(), ", ", |(name, collation)| {
            format!("{} as {}", value(name, collation), quoted(name))
        });
        format!(
            "select count(*) from (select q.* from (select {references}, min(q._event) as _event \
             from {} q where {} group by {values}) q where true{} offset 0) q where {}",
            self.post_images(self.reads_target && self.needs_stored_for(foreign_key)),
            self.refers(foreign_key),
            parent.map(|parent| is_ungiven(foreign_key, parent)).unwrap_or_default(),
            is_orphan(foreign_key)
        )
    }

    /// Whether a row refers to anything: all columns given, or, for `match full`, any.
    fn refers(&self, foreign_key: &ForeignKey) -> String {
        let given = |name: &String| format!("q.{} is not null", quoted(name));
        if foreign_key.match_full && self.knows_all(&foreign_key.child_columns) {
            any_of(foreign_key.child_columns.iter().map(given))
        } else {
            list(&foreign_key.child_columns, " and ", given)
        }
    }

    /// Whether a reference may be one that the row does not name itself.
    fn needs_stored_for(&self, foreign_key: &ForeignKey) -> bool {
        let target = self.target();
        let named = |name: &String| match self.shape {
            Shape::All => true,
            Shape::Mixed(_) => target.key.contains(name),
            Shape::Some(_) => {
                target.column(name).is_some_and(|column| self.shape.names(target, column))
            }
        };
        !target.key.is_empty() && !foreign_key.child_columns.iter().all(named)
    }

    /// The rows that write a reference to what neither is stored nor given by an event no later than
    /// theirs: event, row, and nothing more.
    pub fn orphans(&self, foreign_key: &ForeignKey, parent: Option<Staging>) -> String {
        format!(
            "select q._event, q._row, 0 from (select q.* from {} q where ({}){} offset 0) q \
             where q._forebay_effective and {} order by q._event, q._row",
            self.post_images(true),
            self.refers(foreign_key),
            parent.map(|parent| is_ungiven(foreign_key, parent)).unwrap_or_default(),
            is_orphan(foreign_key)
        )
    }

    /// The rows that write a reference to what is not stored, with each event that gives it: event,
    /// row, that event.
    pub fn staged_parents(
        &self,
        foreign_key: &ForeignKey,
        parent: Staging,
        referring: Referring,
    ) -> String {
        let of_events = match referring {
            Referring::All => "",
            Referring::OfEvents => " and q._event in (select unnest($5))",
            Referring::ToEvents => " and s._event in (select unnest($5))",
        };
        format!(
            "select q._event, q._row, q._forebay_parent \
             from (select q.*, s._event as _forebay_parent from {} q join {} on {} \
             where {} and s._op <> 'd'{of_events} and q._forebay_effective and ({}) offset 0) q \
             where {} order by 1, 2, 3",
            self.post_images(true),
            parent.rows(),
            same_staged_key(foreign_key, parent),
            parent.of_run(),
            self.refers(foreign_key),
            is_orphan(foreign_key)
        )
    }

    /// The compared columns in which the stored rows of the events `$5` differ: event, row, names.
    pub fn differing_columns(&self) -> String {
        let names = list(self.shape.compared(self.target()), ", ", |column| {
            let condition = match self.shape {
                Shape::Mixed(_) => {
                    format!("{} and {}", shape::is_named(column), super::value_differs(column))
                }
                _ => super::value_differs(column),
            };
            format!("case when {condition} then {} end", literal(&column.name))
        });
        format!(
            "select s._event, s._row, l.names from {} cross join lateral ( \
             select array_to_string(array[{names}]::text[], ', ') as names \
             from {} t where {} limit 1) l \
             where {} and s._op <> 'd' and s._event in (select unnest($5))",
            self.staging.rows(),
            target_rows(self.target()),
            same_key(self.target()),
            self.staging.of_run()
        )
    }
}

/// And no event up to a row's own gives what it refers to.
fn is_ungiven(foreign_key: &ForeignKey, parent: Staging) -> String {
    let in_time =
        if failpoint::is_mutant("late_parents") { "" } else { " and s._event <= q._event" };
    is_unstaged(foreign_key, parent, in_time)
}

/// Whether nothing is stored that a row refers to.
fn is_orphan(foreign_key: &ForeignKey) -> String {
    let same = foreign_key
        .child_columns
        .iter()
        .zip(&foreign_key.parent_columns)
        .zip(&foreign_key.equalities)
        .zip(&foreign_key.collations);
    let condition = list(same, " and ", |(((child, parent), equality), collation)| {
        let parent = collated(format!("t.{}", quoted(parent)), collation.as_deref());
        format!("{parent} {equality} q.{}", quoted(child))
    });
    format!("(select true from {} t where {condition} limit 1) is null", foreign_key.parent_rows)
}
