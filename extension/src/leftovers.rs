//! Emptying a staging table of what former batches have left in it.
//!
//! `truncate` gives a table new files, since it can be rolled back, and syncs one of them to disk: 4 to
//! 8 ms, for rows that no merge ever takes again. A leftover is as dead after a rollback as before it,
//! so the table's file is cut to nothing in place, as PostgreSQL does for temporary tables that are
//! emptied on commit.

use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;

/// Empties a staging table, for ever: a rollback does not bring its rows back. 42809 for any other
/// relation than an unlogged table.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn empty_staging(staging: Oid) {
    let mode = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: raises if there is no such table. It stays open until the end of this function, and locked
    // until that of the transaction; nobody else reads it, and no statement of this session either.
    unsafe {
        let table = pg_sys::table_open(staging, mode);
        let persistence = (*(*table).rd_rel).relpersistence;
        if persistence != pg_sys::RELPERSISTENCE_UNLOGGED as std::ffi::c_char {
            ereport!(
                ERROR,
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                "only an unlogged table is emptied for ever"
            );
        }
        pg_sys::CheckTableNotInUse(table, c"empty_staging".as_ptr());
        pg_sys::heap_truncate_one_rel(table);
        pg_sys::table_close(table, pg_sys::NoLock as pg_sys::LOCKMODE);
    }
}
