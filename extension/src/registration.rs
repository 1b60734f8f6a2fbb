//! Who may register a table as a target.
//!
//! These functions run with the caller's rights, since only so they know who calls. They check that
//! the caller owns the table, and do the rest as the extension's owner. They return the error, and
//! SQL raises it: pgrx knows only the SQLSTATEs that PostgreSQL lists.

use pgrx::JsonB;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use serde_json::json;

use crate::attempt::{Raised, attempt};
use crate::identity::{as_extension_owner, current_user};

/// Registers a table for the caller; see `forebay.add_target`.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn add_target_as_caller(
    relation: Option<Oid>,
    key: Option<Vec<String>>,
    on_conflict: Option<String>,
    version: Option<String>,
    compare: Option<Vec<String>>,
) -> Option<JsonB> {
    let arguments: [DatumWithOid; 5] =
        [relation.into(), key.into(), on_conflict.into(), version.into(), compare.into()];
    let sql =
        "select forebay.register_target($1, $2::name[], coalesce($3, ''), $4::name, $5::name[])";
    error_of(as_owner_of(relation, sql, &arguments))
}

/// Forgets a target for the caller; see `forebay.drop_target`.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn drop_target_as_caller(relation: Option<Oid>) -> Option<JsonB> {
    error_of(as_owner_of(relation, "select forebay.forget_target($1)", &[relation.into()]))
}

fn as_owner_of(relation: Option<Oid>, sql: &str, arguments: &[DatumWithOid]) -> Result<(), Raised> {
    let relation = relation.ok_or_else(|| Raised::new("22004", "no table is named"))?;
    check_ownership(relation)?;
    attempt(|attempt| {
        as_extension_owner(attempt, extension_owner()?, || {
            Spi::run_with_args(sql, arguments).map_err(Raised::from)
        })
    })
}

fn check_ownership(relation: Oid) -> Result<(), Raised> {
    let owns = Spi::get_one_with_args::<bool>(
        "select pg_has_role($1, c.relowner, 'usage') from pg_class c where c.oid = $2",
        &[current_user().into(), relation.into()],
    )
    .unwrap_or(None);
    match owns {
        Some(true) => Ok(()),
        Some(false) => Err(Raised::new("42501", "must be owner of the table to register it")),
        None => Err(Raised::new("42P01", "there is no such table")),
    }
}

/// The owner of the extension.
pub fn extension_owner() -> Result<Oid, Raised> {
    Spi::get_one::<Oid>("select extowner from pg_extension where extname = 'forebay'")?
        .ok_or_else(|| Raised::new("XX000", "the extension has no owner"))
}

/// The error for `forebay.raise_error`; none after success.
fn error_of(outcome: Result<(), Raised>) -> Option<JsonB> {
    outcome.err().map(|raised| JsonB(json!(raised)))
}
