//! Chained collections (BUTLER.md, C): what events ask for is judged before their rows are merged, and
//! done afterwards, for those that were.
//!
//! The chains are locked and read once. What the operations make of them, event by event, is worked
//! out in memory: without those of events that are rejected.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pgrx::spi::SpiClient;
use serde::Deserialize;

use super::lookup::{Repository, registered_collections};
use super::{References, Table, owner_of, staging_of};
use crate::attempt::{Attempt, Raised};
use crate::identity::as_table_owner;
use crate::merge::{Rejection, batch_argument};
use crate::statement::quoted;

/// `collection.type` of a chain (BUTLER.md, section 3).
const CHAINED: i16 = 3;

/// The members of chains: position and child, by the chain's id.
type Links = BTreeMap<i64, Vec<(i16, i64)>>;

/// What a batch asks of chains.
pub struct Chains {
    schema: String,
    operations: Vec<Operation>,
    /// Id and type, by name.
    collections: HashMap<String, (i64, i16)>,
    /// The events that name each run that is made in this batch.
    new_runs: HashMap<String, BTreeSet<i32>>,
    links: Links,
    /// The events that were rejected for what they ask, when nothing was known of the merge.
    rejected: BTreeSet<i32>,
}

struct Operation {
    event: i32,
    kind: Kind,
    parent: String,
    children: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Prepend,
    Extend,
    Remove,
}

impl Chains {
    /// Reads what the batch asks, and locks and reads the chains concerned. None if it asks nothing.
    pub fn look_up(
        attempt: &Attempt,
        client: &mut SpiClient<'_>,
        repository: &Repository,
        references: &References,
    ) -> Result<Option<Self>, Raised> {
        let operations = read_operations(client, references)?;
        if operations.is_empty() {
            return Ok(None);
        }
        let mut parents: BTreeMap<&str, bool> = BTreeMap::new();
        for one in &operations {
            *parents.entry(&one.parent).or_insert(true) &= one.kind == Kind::Remove;
        }
        let mut names: BTreeSet<_> = parents.keys().map(|name| (*name).to_owned()).collect();
        names.extend(operations.iter().flat_map(|one| one.children.iter().cloned()));
        let schema = repository.schema.clone();
        let Table { owner, size } = Table::find(client, &schema, "collection")?;
        let collections = as_table_owner(attempt, owner, || {
            lock(client, &schema, &parents)?;
            registered_collections(client, &schema, size, names.into_iter().collect())
        })?;
        let collections: HashMap<_, _> =
            collections.into_iter().map(|(one, kind)| (one.name, (one.id, kind))).collect();
        let owner = owner_of(client, &schema, "collection_chain")?;
        let ids = collections.values().map(|(id, _)| *id).collect();
        let links = as_table_owner(attempt, owner, || read_links(client, &schema, ids))?;
        let new_runs = repository.new_runs(client, references)?;
        let rejected = BTreeSet::new();
        Ok(Some(Chains { schema, operations, collections, new_runs, links, rejected }))
    }

    /// The events whose operations can't be done, when these other events are rejected.
    pub fn judge(&mut self, rejected: &BTreeSet<i32>) -> Vec<Rejection> {
        let (_, rejections) = self.work_out(rejected);
        self.rejected = rejections.iter().map(|rejection| rejection.event).collect();
        rejections
    }

    /// The first event that is judged otherwise now that it is known which events are rejected, for
    /// whatever reason.
    pub fn first_misjudged(&self, rejected: &BTreeSet<i32>) -> Option<i32> {
        let others = rejected.difference(&self.rejected).copied().collect();
        let (_, rejections) = self.work_out(&others);
        let judged: BTreeSet<_> = rejections.iter().map(|rejection| rejection.event).collect();
        self.rejected.symmetric_difference(&judged).next().copied()
    }

    /// Does what the events ask that are not rejected.
    pub fn apply(
        &self,
        attempt: &Attempt,
        client: &mut SpiClient<'_>,
        rejected: &BTreeSet<i32>,
    ) -> Result<(), Raised> {
        let (links, _) = self.work_out(rejected);
        let owner = owner_of(client, &self.schema, "collection_chain")?;
        as_table_owner(attempt, owner, || {
            for (parent, members) in &links {
                let before = self.links.get(parent).map_or(&[][..], Vec::as_slice);
                if members != before {
                    self.write(client, *parent, before, members)?;
                }
            }
            Ok(())
        })
    }

    fn write(
        &self,
        client: &mut SpiClient<'_>,
        parent: i64,
        before: &[(i16, i64)],
        members: &[(i16, i64)],
    ) -> Result<(), Raised> {
        let table = format!("{}.collection_chain", quoted(&self.schema));
        let gone: Vec<i16> =
            before.iter().filter(|one| !members.contains(one)).map(|(place, _)| *place).collect();
        let sql =
            format!("delete from {table} c where c.parent = $1 and c.\"position\" = any ($2)");
        client.update(sql.as_str(), None, &[parent.into(), gone.into()])?;
        let new = members.iter().filter(|one| !before.contains(one)).copied();
        let (places, children): (Vec<i16>, Vec<i64>) = new.unzip();
        let sql = format!(
            "insert into {table} (parent, \"position\", child) \
             select $1, m.place, m.child from unnest($2::int2[], $3::int8[]) m(place, child)"
        );
        client.update(sql.as_str(), None, &[parent.into(), places.into(), children.into()])?;
        Ok(())
    }

    /// What becomes of the chains, and which events can't be done, in order.
    fn work_out(&self, rejected: &BTreeSet<i32>) -> (Links, Vec<Rejection>) {
        let mut links = self.links.clone();
        let mut rejections = Vec::new();
        let mut dead = rejected.clone();
        for event in self.operations.chunk_by(|one, next| one.event == next.event) {
            let Some(first) = event.first().filter(|first| !dead.contains(&first.event)) else {
                continue;
            };
            let mut changed = links.clone();
            let done = event.iter().try_for_each(|one| self.do_one(one, &mut changed, &dead));
            match done {
                Ok(()) => links = changed,
                Err(raised) => {
                    dead.insert(first.event);
                    rejections.push(Rejection::new(first.event, &raised));
                }
            }
        }
        (links, rejections)
    }

    fn do_one(
        &self,
        operation: &Operation,
        links: &mut Links,
        dead: &BTreeSet<i32>,
    ) -> Result<(), Raised> {
        let mut children = Vec::with_capacity(operation.children.len());
        for name in &operation.children {
            let (child, _) = self.collection(name, operation.event, dead)?;
            if !children.contains(&child) {
                children.push(child);
            }
        }
        let (parent, kind) = self.collection(&operation.parent, operation.event, dead)?;
        if kind != CHAINED {
            let message = format!("collection \"{}\" is not a chain", operation.parent);
            return Err(self.error("23514", message));
        }
        if children.is_empty() {
            return Ok(());
        }
        if operation.kind != Kind::Remove && reaches(links, &children, parent) {
            let message = format!("collection \"{}\" would be in itself", operation.parent);
            return Err(self.error("23514", message));
        }
        let members = links.entry(parent).or_default();
        members.retain(|(_, child)| !children.contains(child));
        let places = members.iter().map(|(place, _)| i32::from(*place));
        let count = children.len() as i32;
        let start = match operation.kind {
            Kind::Remove => return Ok(()),
            Kind::Prepend => places.min().unwrap_or(0) - count,
            Kind::Extend => places.max().unwrap_or(0) + 1,
        };
        for (place, child) in (start..).zip(children) {
            let place = i16::try_from(place).map_err(|_| {
                let message = format!("chain \"{}\" has no position {place}", operation.parent);
                self.error("22003", message)
            })?;
            members.push((place, child));
        }
        members.sort_unstable();
        Ok(())
    }

    /// Id and type of a collection, as an event finds it.
    fn collection(
        &self,
        name: &str,
        event: i32,
        dead: &BTreeSet<i32>,
    ) -> Result<(i64, i16), Raised> {
        let is_made = self.new_runs.get(name).is_none_or(|events| {
            events.iter().any(|maker| *maker <= event && !dead.contains(maker))
        });
        self.collections
            .get(name)
            .filter(|_| is_made)
            .copied()
            .ok_or_else(|| self.error("23503", format!("collection \"{name}\" is not registered")))
    }

    fn error(&self, sqlstate: &str, message: String) -> Raised {
        Raised::new(sqlstate, message).about_table(&self.schema, "collection_chain")
    }
}

/// Whether a chain is among these collections, or in one of them.
fn reaches(links: &Links, from: &[i64], chain: i64) -> bool {
    let mut waiting = from.to_vec();
    let mut seen = BTreeSet::new();
    while let Some(one) = waiting.pop() {
        if one == chain {
            return true;
        }
        if seen.insert(one) {
            waiting.extend(links.get(&one).into_iter().flatten().map(|(_, child)| *child));
        }
    }
    false
}

fn read_operations(
    client: &mut SpiClient<'_>,
    references: &References,
) -> Result<Vec<Operation>, Raised> {
    let staging = staging_of(client, "forebay.butler_chain", references.slot)?;
    let sql = format!(
        "select r._event, r.operation, r.parent, \
         array(select jsonb_array_elements_text(r.children)) \
         from {staging} r where r._batch >= $1 order by r._event, r._row"
    );
    let mut operations = Vec::new();
    for row in client.update(sql.as_str(), None, &[batch_argument(references.batch)])? {
        let kind = row.get::<String>(2)?.unwrap_or_default();
        operations.push(Operation {
            event: row.get::<i32>(1)?.unwrap_or(0),
            kind: serde_json::from_value(kind.into())
                .map_err(|error| Raised::new("22023", error.to_string()))?,
            parent: row.get::<String>(3)?.unwrap_or_default(),
            children: row.get::<Vec<String>>(4)?.unwrap_or_default(),
        });
    }
    Ok(operations)
}

/// Locks the parents against others who change them, as the official client does: members may be
/// removed by several at a time. With each parent goes whether nothing else is asked of it.
fn lock(
    client: &mut SpiClient<'_>,
    schema: &str,
    parents: &BTreeMap<&str, bool>,
) -> Result<(), Raised> {
    for (name, only_remove) in parents {
        let strength = if *only_remove { "share" } else { "update" };
        let sql =
            format!("select from {}.collection c where c.name = $1 for {strength}", quoted(schema));
        client.update(sql.as_str(), None, &[(*name).into()]).map(drop)?;
    }
    Ok(())
}

/// The members of these collections, of their members, and so on.
fn read_links(client: &mut SpiClient<'_>, schema: &str, of: Vec<i64>) -> Result<Links, Raised> {
    let sql = format!(
        "with recursive reached(id) as (select unnest($1::int8[]) \
         union select c.child from reached r join {0}.collection_chain c on c.parent = r.id) \
         select c.parent, c.\"position\", c.child from {0}.collection_chain c \
         where c.parent in (select r.id from reached r) order by 1, 2",
        quoted(schema)
    );
    let mut links = Links::new();
    for row in client.update(sql.as_str(), None, &[of.into()])? {
        let (parent, child) = (row.get::<i64>(1)?.unwrap_or(0), row.get::<i64>(3)?.unwrap_or(0));
        links.entry(parent).or_default().push((row.get::<i16>(2)?.unwrap_or(0), child));
    }
    Ok(links)
}
