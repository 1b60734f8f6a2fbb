//! What the catalog says of targets, kept for the session until it may have changed.
//!
//! Reading it takes longer than merging a small batch. PostgreSQL tells every session which relations
//! have been altered, before it locks any; what a description depends on beside them is compared.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use pgrx::JsonB;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::prelude::*;

use crate::attempt::Raised;
use crate::query::query;
use crate::size::Size;
use crate::target::TargetSet;

/// More descriptions than this are not kept: a writer's batches have few different sets of targets.
const MOST: usize = 64;

thread_local! {
    static KEPT: RefCell<HashMap<Vec<Oid>, Kept>> = RefCell::default();
    /// The relations that kept descriptions depend on.
    static WATCHED: RefCell<HashSet<u32>> = RefCell::default();
    /// Whether something has changed that a kept description depends on.
    static STALE: Cell<bool> = const { Cell::new(false) };
    /// How often a relation or a schema has.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

struct Kept {
    /// Which versions of their registrations it was made of.
    registrations: String,
    set: Rc<TargetSet>,
}

/// What the catalog says of these tables. FB003 if one is not a target, FB004 if it can't be one any
/// more, 42501 if its owner may not write it.
pub fn describe(relations: &[Oid]) -> Result<Rc<TargetSet>, Raised> {
    watch();
    if STALE.replace(false) {
        KEPT.with_borrow_mut(HashMap::clear);
        WATCHED.with_borrow_mut(HashSet::clear);
    }
    let registrations = registrations(relations)?;
    let kept = KEPT.with_borrow(|kept| {
        let kept = kept.get(relations).filter(|kept| kept.registrations == registrations);
        kept.map(|kept| kept.set.clone())
    });
    if let Some(set) = kept {
        return Ok(set);
    }
    let watched = depends_on(relations)?;
    WATCHED.with_borrow_mut(|all| all.extend(watched));
    let set = Rc::new(TargetSet::new(read(relations)?, relations.len())?);
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(relations.to_vec(), Kept { registrations, set: set.clone() });
    });
    Ok(set)
}

fn read(relations: &[Oid]) -> Result<serde_json::Value, Raised> {
    let sql = "select forebay.describe_targets($1)";
    let description = Spi::get_one_with_args::<JsonB>(sql, &[relations.to_vec().into()])?;
    let nothing = || Raised::new("XX000", "describe_targets answers nothing");
    description.map(|JsonB(description)| description).ok_or_else(nothing)
}

fn registrations(relations: &[Oid]) -> Result<String, Raised> {
    let sql = "select string_agg(concat_ws(' ', t.id, t.xmin, t.ctid), ',' order by t.id) \
               from forebay.registration t where t.relation = any ($1)";
    let versions = Spi::connect_mut(|client| {
        query(client, sql, Size::default(), &[relations.to_vec().into()])?.first()?.get::<String>(1)
    })?;
    Ok(versions.unwrap_or_default())
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
