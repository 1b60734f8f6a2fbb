//! Which events of a run are rejected, by what the looks have found.
//!
//! Events are judged in order, as if each were applied alone: what a rejected event would have given
//! (a parent, a unique value) is not there for those after it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::answer::Rejection;
use super::batch::Batch;
use crate::attempt::Raised;
use crate::failpoint;
use crate::statement::look::Violation;
use crate::target::Target;

/// What a row violates by itself.
#[derive(Debug)]
pub struct Finding {
    /// The event.
    pub event: i32,
    /// The row's number in the event.
    pub row: i32,
    /// The row's part.
    pub part: usize,
    /// What it violates.
    pub violation: Violation,
    /// For [`Violation::Different`]: the columns that differ.
    pub detail: String,
}

/// A row that shares a value of a unique index with other rows of the run.
#[derive(Debug)]
pub struct Duplicate {
    /// The event.
    pub event: i32,
    /// The row's number in the event.
    pub row: i32,
    /// The row's part.
    pub part: usize,
    /// The index.
    pub constraint: String,
    /// A number that rows with the same value share.
    pub value: i64,
}

/// A row that refers to nothing that is stored.
#[derive(Debug)]
pub struct Orphan {
    /// The event.
    pub event: i32,
    /// The row's number in the event.
    pub row: i32,
    /// The row's part.
    pub part: usize,
    /// The foreign key's place in the batch.
    pub foreign_key: usize,
    /// The events of the run that give the parent.
    pub parents: Vec<i32>,
}

/// What the looks at a run have found.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first event that moves a value which another unique index looks at.
    pub first_mover: Option<i32>,
    /// Rows of a target that ignores repeated keys have findings: whether they count depends on rows
    /// before them.
    pub is_unclear: bool,
    /// The ids of targets that have not all rows stored just so, though it was taken to be.
    pub mistaken: Vec<i32>,
    /// What rows violate by themselves.
    pub violations: Vec<Finding>,
    /// Rows that share unique values, in order of (event, row).
    pub duplicates: Vec<Duplicate>,
    /// Rows without a stored parent, and without one that is given for sure.
    orphans: Vec<Orphan>,
    /// Event, row, part and foreign key of each orphan.
    known_orphans: HashSet<(i32, i32, usize, usize)>,
}

impl Findings {
    /// Whether no row violates anything by itself or with another.
    pub fn is_empty(&self) -> bool {
        self.violations.is_empty() && self.duplicates.is_empty()
    }

    /// The events that may be rejected.
    pub fn events(&self) -> BTreeSet<i32> {
        (self.violations.iter().map(|found| found.event))
            .chain(self.duplicates.iter().map(|found| found.event))
            .chain(self.orphans.iter().map(|found| found.event))
            .collect()
    }

    /// Whether a row of this part has no parent.
    pub fn has_orphans_of(&self, part: usize) -> bool {
        self.orphans.iter().any(|orphan| orphan.part == part)
    }

    /// Adds an orphan, unless it is known.
    pub fn add_orphan(&mut self, orphan: Orphan) {
        let place = (orphan.event, orphan.row, orphan.part, orphan.foreign_key);
        if self.known_orphans.insert(place) {
            self.orphans.push(orphan);
        }
    }

    /// The events to reject, in order, each with its first reason.
    pub fn judge(&self, batch: &Batch) -> Vec<Rejection> {
        let mut judge =
            Judge { batch, findings: self, holders: HashSet::new(), dead: BTreeSet::new() };
        let by_event = ByEvent::of(self);
        self.events().into_iter().filter_map(|event| judge.reject(event, &by_event)).collect()
    }
}

/// The places of the findings of each event.
struct ByEvent {
    violations: HashMap<i32, Vec<usize>>,
    duplicates: HashMap<i32, Vec<usize>>,
    orphans: HashMap<i32, Vec<usize>>,
}

impl ByEvent {
    fn of(findings: &Findings) -> Self {
        Self {
            violations: places(findings.violations.iter().map(|found| found.event)),
            duplicates: places(findings.duplicates.iter().map(|found| found.event)),
            orphans: places(findings.orphans.iter().map(|found| found.event)),
        }
    }
}

fn places(events: impl Iterator<Item = i32>) -> HashMap<i32, Vec<usize>> {
    let mut places: HashMap<i32, Vec<usize>> = HashMap::new();
    for (place, event) in events.enumerate() {
        places.entry(event).or_default().push(place);
    }
    places
}

struct Judge<'a> {
    batch: &'a Batch,
    findings: &'a Findings,
    /// Unique values that live events have taken: part, index and value.
    holders: HashSet<(usize, &'a str, i64)>,
    /// The rejected events.
    dead: BTreeSet<i32>,
}

impl<'a> Judge<'a> {
    fn reject(&mut self, event: i32, by_event: &ByEvent) -> Option<Rejection> {
        let raised = self.violation(event, by_event).or_else(|| self.orphan(event, by_event));
        if let Some(raised) = raised {
            self.dead.insert(event);
            return Some(Rejection::new(event, &raised));
        }
        let findings = self.findings;
        for place in by_event.duplicates.get(&event).into_iter().flatten() {
            let found = &findings.duplicates[*place];
            self.holders.insert((found.part, &found.constraint, found.value));
        }
        None
    }

    /// The first of the violations that show while the event's rows are written, one by one.
    fn violation(&self, event: i32, by_event: &ByEvent) -> Option<Raised> {
        let own = by_event.violations.get(&event).into_iter().flatten().map(|place| {
            let found = &self.findings.violations[*place];
            (found.row, self.raised_by(found))
        });
        let mut taken = HashSet::new();
        let duplicates = by_event.duplicates.get(&event).into_iter().flatten();
        let clashes: Vec<_> = duplicates
            .filter_map(|place| {
                let found = &self.findings.duplicates[*place];
                let value = (found.part, found.constraint.as_str(), found.value);
                let is_taken = self.holders.contains(&value) || !taken.insert(value);
                is_taken
                    .then(|| (found.row, duplicate_key(self.target(found.part), &found.constraint)))
            })
            .collect();
        own.chain(clashes).min_by_key(|(row, _)| *row).map(|(_, raised)| raised)
    }

    /// A reference for which there is no parent at the event's end.
    fn orphan(&self, event: i32, by_event: &ByEvent) -> Option<Raised> {
        let orphans = by_event.orphans.get(&event)?;
        let found = orphans
            .iter()
            .map(|place| &self.findings.orphans[*place])
            .find(|orphan| !orphan.parents.iter().any(|parent| self.gives(*parent, event)))?;
        let (target, foreign_key) =
            (self.target(found.part), &self.batch.foreign_keys[found.foreign_key]);
        let message = format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            target.table, foreign_key.name
        );
        Some(violates("23503", message, target, Some(foreign_key.name.clone())))
    }

    /// Whether what an event gives is there for another one.
    fn gives(&self, parent: i32, child: i32) -> bool {
        parent <= child && (!self.dead.contains(&parent) || failpoint::is_mutant("dead_parents"))
    }

    fn target(&self, part: usize) -> &'a Target {
        &self.batch.parts[part].target
    }

    fn raised_by(&self, found: &Finding) -> Raised {
        let target = self.target(found.part);
        match &found.violation {
            Violation::Versionless => versionless(target),
            Violation::Stored => {
                duplicate_key(target, target.key_constraint.as_deref().unwrap_or_default())
            }
            Violation::Different => not_identical(target, &found.detail),
            Violation::Null(column) => violates(
                "23502",
                format!(
                    "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
                    target.table
                ),
                target,
                None,
            ),
            Violation::Check(name) => violates(
                "23514",
                format!(
                    "new row for relation \"{}\" violates check constraint \"{name}\"",
                    target.table
                ),
                target,
                Some(name.clone()),
            ),
            Violation::Taken(name) => duplicate_key(target, name),
        }
    }
}

/// An event does not name the version by which the target tells which row is newer.
pub fn versionless(target: &Target) -> Raised {
    let column = target.version.as_deref().unwrap_or_default();
    let message = format!("{} keeps the newest row: an event must name {column}", target.display);
    violates("22004", message, target, None)
}

/// An event deletes by a key that is null.
pub fn null_key(target: &Target) -> Raised {
    let message = format!("{} has no row whose key is null", target.display);
    violates("23502", message, target, None)
}

/// An event differs from the stored row where it must be identical.
pub fn not_identical(target: &Target, columns: &str) -> Raised {
    let message =
        format!("a row of {} with this key is stored, and differs in {columns}", target.display);
    violates("23505", message, target, target.key_constraint.clone())
}

fn duplicate_key(target: &Target, constraint: &str) -> Raised {
    let message = format!("duplicate key value violates unique constraint \"{constraint}\"");
    violates("23505", message, target, Some(constraint.to_owned()))
}

fn violates(
    sqlstate: &str,
    message: String,
    target: &Target,
    constraint: Option<String>,
) -> Raised {
    Raised::new(sqlstate, message)
        .about_table(&target.schema, &target.table)
        .about_constraint(constraint)
}
