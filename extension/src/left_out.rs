//! Foreign keys of a statement that are checked beforehand, as a set, so that their triggers are left
//! out.
//!
//! PostgreSQL checks a foreign key once for each written row, by a trigger. Where all of a statement's
//! references are known to have parents, and these are locked, that is work for nothing. The executor
//! has a copy of its own of what triggers a table has; in that copy, of that one statement, the
//! triggers that check these foreign keys are taken for disabled. All others fire as ever, and so do
//! those of every other statement, also of those that triggers run.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::slice;

use pgrx::pg_sys::{self, Oid, QueryDesc};
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_guard};

static SET_BASED: GucSetting<bool> = GucSetting::<bool>::new(true);

thread_local! {
    static LEFT_OUT: RefCell<Option<LeftOut>> = const { RefCell::new(None) };
    static NEXT_HOOK: Cell<pg_sys::ExecutorStart_hook_type> = const { Cell::new(None) };
}

/// The statement that is about to start, and what it leaves out.
struct LeftOut {
    sql: CString,
    relation: Oid,
    constraints: Vec<Oid>,
}

/// Registers the setting, and puts itself into the executor's way.
pub fn register() {
    GucRegistry::define_bool_guc(
        c"forebay.set_based_foreign_keys",
        c"Whether a merge checks foreign keys once for a set of rows, where it can.",
        c"Otherwise PostgreSQL's triggers check them once for each row.",
        &SET_BASED,
        GucContext::Userset,
        GucFlags::default(),
    );
    // SAFETY: a backend has one thread, and loads the library once.
    unsafe {
        NEXT_HOOK.set(pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(start_executor);
    }
}

/// Whether foreign keys may be checked as a set: the setting is on, and each statement sees what others
/// have committed before it.
pub fn is_possible() -> bool {
    // SAFETY: a plain number, which only this thread changes.
    SET_BASED.get() && unsafe { pg_sys::XactIsoLevel } < pg_sys::XACT_REPEATABLE_READ as i32
}

/// Runs `work`, whose one statement `sql` writes into `relation` without these foreign keys being
/// checked: the caller has done so.
pub fn leaving_out<T>(
    sql: &str,
    relation: Oid,
    constraints: Vec<Oid>,
    work: impl FnOnce() -> T,
) -> T {
    let _disarm = Disarm;
    if let Ok(sql) = CString::new(sql)
        && !constraints.is_empty()
    {
        LEFT_OUT.set(Some(LeftOut { sql, relation, constraints }));
    }
    work()
}

/// Forgets what is to be left out, also if the statement raises before it starts.
struct Disarm;

impl Drop for Disarm {
    fn drop(&mut self) {
        LEFT_OUT.set(None);
    }
}

/// # Safety
///
/// Called by PostgreSQL for a query that is about to be executed.
#[pg_guard]
unsafe extern "C-unwind" fn start_executor(query: *mut QueryDesc, flags: i32) {
    // SAFETY: the next hook, or PostgreSQL's own function, is called as this one is; after it the query
    // has an executor state.
    unsafe {
        match NEXT_HOOK.get() {
            Some(next) => next(query, flags),
            None => pg_sys::standard_ExecutorStart(query, flags),
        }
        let is_meant = |left_out: &mut LeftOut| {
            let text = (*query).sourceText;
            !text.is_null() && CStr::from_ptr(text) == left_out.sql.as_c_str()
        };
        if let Some(left_out) = LEFT_OUT.with_borrow_mut(|armed| armed.take_if(is_meant)) {
            leave_out((*query).estate, &left_out);
        }
    }
}

/// # Safety
///
/// `state` is the executor state of a query that has just started.
unsafe fn leave_out(state: *mut pg_sys::EState, left_out: &LeftOut) {
    // SAFETY: the list holds the tables that the query writes, each open, with a copy of its triggers
    // that belongs to this query, or none.
    unsafe {
        let list = (*state).es_opened_result_relations;
        if list.is_null() {
            return;
        }
        let cells = slice::from_raw_parts((*list).elements, (*list).length as usize);
        for cell in cells {
            let written = cell.ptr_value.cast::<pg_sys::ResultRelInfo>();
            let triggers = (*written).ri_TrigDesc;
            if triggers.is_null() || (*(*written).ri_RelationDesc).rd_id != left_out.relation {
                continue;
            }
            let count = (*triggers).numtriggers as usize;
            for trigger in slice::from_raw_parts_mut((*triggers).triggers, count) {
                if left_out.constraints.contains(&trigger.tgconstraint)
                    && pg_sys::RI_FKey_trigger_type(trigger.tgfoid) == pg_sys::RI_TRIGGER_FK as i32
                {
                    trigger.tgenabled = pg_sys::TRIGGER_DISABLED as std::ffi::c_char;
                }
            }
        }
    }
}
