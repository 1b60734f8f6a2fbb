//! What the catalog says of targets, kept for the session until it may have changed.
//!
//! Reading it takes longer than merging a small batch. PostgreSQL tells every session which relations
//! have been altered, before it locks any; what a description depends on beside them is compared.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use pgrx::JsonB;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::prelude::*;

use crate::attempt::Raised;
use crate::query::query;
use crate::size::Size;
use crate::target::{Description, ForeignKey, Target, TargetSet};

/// If there are more descriptions than this, they are forgotten.
const MOST: usize = 1024;

thread_local! {
    static KEPT: RefCell<HashMap<Oid, Kept>> = RefCell::default();
    /// The relations that kept descriptions depend on.
    static WATCHED: RefCell<HashSet<u32>> = RefCell::default();
    /// Whether something has changed that a kept description depends on.
    static STALE: Cell<bool> = const { Cell::new(false) };
    /// How often a relation or a schema has.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// What is known of one target. Sets of targets differ from batch to batch.
struct Kept {
    target: Target,
    /// Those of which it is the referencing table.
    foreign_keys: Vec<ForeignKey>,
    /// Which registrations this was made of: its own, and those of the tables that it refers to.
    versions: HashMap<Oid, Option<String>>,
}

impl Kept {
    fn is_current(&self, versions: &Versions) -> bool {
        self.versions.iter().all(|(relation, version)| versions.get(relation) == version.as_ref())
    }
}

/// By the relation, which version of its registration there is.
type Versions = HashMap<Oid, String>;

/// What the catalog says of these tables. FB003 if one is not a target, FB004 if it can't be one any
/// more, 42501 if its owner may not write it, 22023 if one is named twice.
pub fn describe(relations: &[Oid]) -> Result<TargetSet, Raised> {
    if relations.iter().collect::<HashSet<_>>().len() < relations.len() {
        return Err(Raised::new("22023", "a target is named twice among those that are staged"));
    }
    watch();
    if STALE.replace(false) {
        KEPT.with_borrow_mut(HashMap::clear);
        WATCHED.with_borrow_mut(HashSet::clear);
    }
    if KEPT.with_borrow(HashMap::len) > MOST {
        KEPT.with_borrow_mut(HashMap::clear);
    }
    let mut versions = versions(Some(&involved(relations)))?;
    loop {
        let unknown = unknown(relations, &versions);
        if unknown.is_empty() {
            break;
        }
        // What was known is judged again: another session may have registered one of them meanwhile.
        versions = learn(&unknown)?;
    }
    let (targets, foreign_keys): (Vec<_>, Vec<_>) = KEPT.with_borrow(|kept| {
        let known = relations.iter().filter_map(|relation| kept.get(relation));
        known.map(|one| (one.target.clone(), one.foreign_keys.clone())).unzip()
    });
    Ok(TargetSet::new(targets, foreign_keys.concat()))
}

/// Those of these tables of which nothing is known, or of other versions of registrations than these.
fn unknown(relations: &[Oid], versions: &Versions) -> Vec<Oid> {
    let is_unknown = |kept: &HashMap<Oid, Kept>, relation: &Oid| {
        kept.get(relation).is_none_or(|one| !one.is_current(versions))
    };
    KEPT.with_borrow(|kept| {
        relations.iter().copied().filter(|relation| is_unknown(kept, relation)).collect()
    })
}

/// These tables, and those that they are known to refer to.
fn involved(relations: &[Oid]) -> Vec<Oid> {
    let mut all: Vec<_> = KEPT.with_borrow(|kept| {
        let known = relations.iter().filter_map(|relation| kept.get(relation));
        known.flat_map(|one| one.versions.keys().copied()).collect()
    });
    all.extend(relations);
    all
}

/// Describes these tables anew, as they are after all registrations had the versions that it answers.
fn learn(relations: &[Oid]) -> Result<Versions, Raised> {
    // Registrations that change from here on make the descriptions out of date.
    let versions = versions(None)?;
    let watched = depends_on(relations)?;
    WATCHED.with_borrow_mut(|all| all.extend(watched));
    let described = Description::new(read(relations)?, relations.len())?;
    KEPT.with_borrow_mut(|kept| {
        for target in described.targets {
            let relation = target.relation();
            let is_its = |foreign_key: &&ForeignKey| foreign_key.child() == relation;
            let foreign_keys: Vec<_> =
                described.foreign_keys.iter().filter(is_its).cloned().collect();
            let parents = foreign_keys.iter().map(ForeignKey::parent);
            let version = |of: Oid| (of, versions.get(&of).cloned());
            let versions = parents.chain([relation]).map(version).collect();
            kept.insert(relation, Kept { target, foreign_keys, versions });
        }
    });
    Ok(versions)
}

fn read(relations: &[Oid]) -> Result<serde_json::Value, Raised> {
    let sql = "select forebay.describe_targets($1)";
    let description = Spi::get_one_with_args::<JsonB>(sql, &[relations.to_vec().into()])?;
    let nothing = || Raised::new("XX000", "describe_targets answers nothing");
    description.map(|JsonB(description)| description).ok_or_else(nothing)
}

/// The versions of the registrations of these tables, or of all targets.
fn versions(of: Option<&[Oid]>) -> Result<Versions, Raised> {
    let sql = "select coalesce(array_agg(t.relation::oid), '{}'), \
               coalesce(array_agg(concat_ws(' ', t.id, t.xmin, t.ctid)), '{}') \
               from forebay.registration t";
    let of_these = format!("{sql} where t.relation = any ($1)");
    Spi::connect_mut(|client| {
        let rows = match of {
            Some(relations) => {
                query(client, &of_these, Size::default(), &[relations.to_vec().into()])?
            }
            None => query(client, sql, Size::default(), &[])?,
        };
        let row = rows.first()?;
        let relations = row.get::<Vec<Oid>>(1)?.unwrap_or_default();
        Ok(relations.into_iter().zip(row.get::<Vec<String>>(2)?.unwrap_or_default()).collect())
    })
}

/// The tables, their partitions, what their foreign keys refer to, and the sequences of their defaults.
fn depends_on(relations: &[Oid]) -> Result<Vec<u32>, Raised> {
    let sql = "select array_agg(d.oid::int8) from (\
               select unnest($1) as oid \
               union select p.relid::oid from unnest($1) r(oid), pg_partition_tree(r.oid) p \
               union select k.confrelid from pg_constraint k \
               where k.contype = 'f' and k.conrelid = any ($1) \
               union select q.refobjid from pg_attrdef a join pg_depend q on q.objid = a.oid \
               where q.classid = 'pg_attrdef'::regclass and q.refclassid = 'pg_class'::regclass \
               and a.adrelid = any ($1)) d";
    let oids = Spi::get_one_with_args::<Vec<i64>>(sql, &[relations.to_vec().into()])?;
    Ok(oids.unwrap_or_default().into_iter().filter_map(|oid| u32::try_from(oid).ok()).collect())
}

fn watch() {
    if IS_WATCHING.replace(true) {
        return;
    }
    // SAFETY: both functions live as long as the library, which is never unloaded, and raise nothing.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), Datum::null());
        for cache in CACHES {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(entry_changed), Datum::null());
        }
    }
}

/// What descriptions depend on beside relations, and seldom changes: roles and who is in them, the names
/// of schemas, functions. What else does, such as the name of a type, shows by an error.
const CACHES: [pg_sys::SysCacheIdentifier::Type; 4] = [
    pg_sys::SysCacheIdentifier::AUTHOID,
    pg_sys::SysCacheIdentifier::AUTHMEMMEMROLE,
    pg_sys::SysCacheIdentifier::NAMESPACEOID,
    pg_sys::SysCacheIdentifier::PROCOID,
];

/// Forgets all descriptions: one may be out of date, or a merge has failed, perhaps for that.
pub fn forget() {
    STALE.set(true);
}

/// How often a relation that a description depends on, or the name of a schema, has changed in this
/// session. What a description says of foreign keys, if it was made after this was read, holds as long as
/// this stays.
pub fn changes() -> u64 {
    CHANGES.get()
}

fn count_change() {
    forget();
    CHANGES.set(CHANGES.get() + 1);
}

/// Called with the relation, or none if any may have changed.
unsafe extern "C-unwind" fn relation_changed(_: Datum, relation: Oid) {
    let is_watched = relation == Oid::INVALID
        || WATCHED.with(|watched| {
            watched.try_borrow().map_or(true, |watched| watched.contains(&relation.to_u32()))
        });
    if is_watched {
        count_change();
    }
}

unsafe extern "C-unwind" fn entry_changed(_: Datum, cache: i32, _: u32) {
    if cache == pg_sys::SysCacheIdentifier::NAMESPACEOID as i32 {
        count_change();
    } else {
        forget();
    }
}
