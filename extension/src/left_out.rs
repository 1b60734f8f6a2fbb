//! Foreign keys of a statement that are checked beforehand, as a set, so that their triggers are left
//! out.
//!
//! PostgreSQL checks a foreign key once for each written row, by a trigger. Where all of a statement's
//! references are known to have parents, and these are locked, that is work for nothing. The executor
//! has a copy of its own of what triggers a table has; in that copy, of that one statement, the
//! triggers that check these foreign keys are taken for disabled. All others fire as ever, and so do
//! those of every other statement, also of those that triggers run.

use std::cell::{Cell, RefCell};
use std::ffi::c_char;
use std::slice;

use pgrx::pg_sys::{self, Oid, QueryDesc};
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_guard};

use crate::description;
use crate::plan::Plan;

static SET_BASED: GucSetting<bool> = GucSetting::<bool>::new(true);

thread_local! {
    static LEFT_OUT: RefCell<Option<LeftOut>> = const { RefCell::new(None) };
    static NEXT_HOOK: Cell<pg_sys::ExecutorStart_hook_type> = const { Cell::new(None) };
}

/// The statement that is about to start, and what it leaves out.
struct LeftOut {
    /// The text of its plan, by which it is known: code that runs while it is planned may execute a
    /// statement of equal text.
    text: *const c_char,
    checked: Checked,
}

/// Foreign keys that have been checked for all rows that a statement writes.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The table that is written.
    pub relation: Oid,
    /// Their constraints.
    pub constraints: Vec<Oid>,
    /// What [`description::changes`] was when the table was described. If it is not the same when the
    /// statement starts, triggers check them once more.
    pub changes: u64,
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

/// Runs `work`, which executes `plan` once; its statement leaves out what has been checked.
pub fn leaving_out<T>(plan: &Plan, checked: Checked, work: impl FnOnce() -> T) -> T {
    let _disarm = Disarm;
    let text = plan.text();
    // Also none is set: the statement that another merge is about to start may have the same plan, where
    // a table's code merges, too.
    let is_armed = !text.is_null() && !checked.constraints.is_empty();
    LEFT_OUT.set(is_armed.then_some(LeftOut { text, checked }));
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
        let is_meant = |left_out: &mut LeftOut| (*query).sourceText == left_out.text;
        if let Some(LeftOut { checked, .. }) =
            LEFT_OUT.with_borrow_mut(|armed| armed.take_if(is_meant))
            && checked.changes == description::changes()
        {
            leave_out((*query).estate, &checked);
        }
    }
}

/// # Safety
///
/// `state` is the executor state of a query that has just started.
unsafe fn leave_out(state: *mut pg_sys::EState, checked: &Checked) {
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
            if triggers.is_null() || (*(*written).ri_RelationDesc).rd_id != checked.relation {
                continue;
            }
            let count = (*triggers).numtriggers as usize;
            for trigger in slice::from_raw_parts_mut((*triggers).triggers, count) {
                if checked.constraints.contains(&trigger.tgconstraint)
                    && pg_sys::RI_FKey_trigger_type(trigger.tgfoid) == pg_sys::RI_TRIGGER_FK as i32
                {
                    trigger.tgenabled = pg_sys::TRIGGER_DISABLED as c_char;
                }
            }
        }
    }
}
