//! Statements whose after-triggers, foreign keys among them, wait for the end of a query level.
//!
//! An event's foreign keys are checked at its end, whatever the order of its rows. PostgreSQL
//! checks them at the end of each statement, unless the statement leaves its after-triggers to the
//! query level around it, as the cascading actions of foreign keys do. [`query_level`] is that
//! level, and [`Plan::write`] such a statement.
//!
//! Plans are kept for the session, each for the size of what its statement reads: a plan for few rows
//! is a bad one for many. PostgreSQL makes a kept plan anew when what it depends on is altered.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::rc::Rc;

use pgrx::pg_sys;

use crate::attempt::{Attempt, Raised};
use crate::size::Size;

/// More plans than this are not kept. A Butler's batch has about three hundred statements.
const MOST: usize = 2000;

thread_local! {
    static KEPT: RefCell<HashMap<Size, HashMap<String, Rc<Plan>>>> = RefCell::default();
}

/// A prepared statement that outlives the SPI connection it was made in.
pub struct Plan {
    raw: pg_sys::SPIPlanPtr,
    argument_types: Vec<pg_sys::Oid>,
}

impl Plan {
    /// The plan that the session keeps for statements of this text and size. Must be called with SPI
    /// connected.
    pub fn kept(sql: &str, argument_types: &[pg_sys::Oid], size: Size) -> Result<Rc<Self>, Raised> {
        let kept = KEPT.with_borrow(|kept| kept.get(&size).and_then(|kept| kept.get(sql).cloned()));
        if let Some(plan) = kept
            && plan.argument_types == argument_types
        {
            return Ok(plan);
        }
        let plan = Rc::new(Self::prepare(sql, argument_types)?);
        KEPT.with_borrow_mut(|kept| {
            if kept.values().map(HashMap::len).sum::<usize>() >= MOST {
                kept.clear();
            }
            kept.entry(size).or_default().insert(sql.to_owned(), plan.clone());
        });
        Ok(plan)
    }

    /// Prepares a statement, which is planned once, whatever its arguments. Must be called with SPI
    /// connected.
    pub fn prepare(sql: &str, argument_types: &[pg_sys::Oid]) -> Result<Self, Raised> {
        let source =
            CString::new(sql).map_err(|_| Raised::new("XX000", "a statement holds a zero byte"))?;
        let mut types = argument_types.to_vec();
        // SAFETY: `source` and `types` live until the call returns; SPI copies what it keeps.
        let raw = unsafe {
            pg_sys::SPI_prepare_cursor(
                source.as_ptr(),
                types.len() as i32,
                types.as_mut_ptr(),
                pg_sys::CURSOR_OPT_GENERIC_PLAN as i32,
            )
        };
        // SAFETY: a plan that is not null has just been made, and nobody else knows it.
        if raw.is_null() || unsafe { pg_sys::SPI_keepplan(raw) } != 0 {
            return Err(Raised::new("XX000", format!("cannot prepare: {sql}")));
        }
        Ok(Plan { raw, argument_types: types })
    }

    /// Runs the statement with a fresh snapshot, and leaves its after-triggers to the surrounding
    /// [`query_level`]. Returns the number of rows that it wrote. Must be called with SPI connected.
    pub fn write(&self, arguments: &[pg_sys::Datum]) -> Result<u64, Raised> {
        self.run(arguments, false)
    }

    /// Runs the statement with a fresh snapshot, and then its after-triggers. Returns the number of
    /// rows that it wrote. Must be called with SPI connected.
    pub fn write_and_act(&self, arguments: &[pg_sys::Datum]) -> Result<u64, Raised> {
        self.run(arguments, true)
    }

    /// Runs the query with a fresh snapshot, and returns the first column of its first row as text;
    /// none if there is no row, or if it is null. Must be called with SPI connected.
    pub fn first_text(&self, arguments: &[pg_sys::Datum]) -> Result<Option<String>, Raised> {
        if self.run(arguments, false)? == 0 {
            return Ok(None);
        }
        // SAFETY: the query has returned at least one row, which SPI keeps until it is freed here.
        unsafe {
            let rows = pg_sys::SPI_tuptable;
            let value = pg_sys::SPI_getvalue(*(*rows).vals, (*rows).tupdesc, 1);
            let text =
                (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned());
            pg_sys::SPI_freetuptable(rows);
            Ok(text)
        }
    }

    /// Runs the query with a fresh snapshot, and returns how many rows SPI has of it. `nulls` has a `n`
    /// for each argument that is null. Must be called with SPI connected.
    pub fn read(
        &self,
        arguments: &[pg_sys::Datum],
        nulls: &[std::ffi::c_char],
    ) -> Result<usize, Raised> {
        let mut values = arguments.to_vec();
        // SAFETY: the plan is alive, and there are as many values and nulls as it has arguments.
        let status = unsafe {
            pg_sys::SPI_execute_plan(self.raw, values.as_mut_ptr(), nulls.as_ptr(), false, 0)
        };
        if status < 0 {
            return Err(Raised::new("XX000", format!("SPI_execute_plan answers {status}")));
        }
        // SAFETY: set by the call above.
        Ok(unsafe { pg_sys::SPI_processed } as usize)
    }

    /// Where the text of its one statement is: a query that has this very text, and not just an equal
    /// one, is this plan's.
    pub fn text(&self) -> *const c_char {
        // SAFETY: the plan is alive, and was made of text, so it has a list of sources, of which none is
        // null. Who gets the address can't read it without a promise of his own.
        unsafe {
            let sources = pg_sys::SPI_plan_get_plan_sources(self.raw);
            if sources.is_null() || (*sources).length != 1 {
                return std::ptr::null();
            }
            (*(*(*sources).elements).ptr_value.cast::<pg_sys::CachedPlanSource>()).query_string
        }
    }

    fn run(&self, arguments: &[pg_sys::Datum], fires_triggers: bool) -> Result<u64, Raised> {
        let mut values = arguments.to_vec();
        // SAFETY: the plan is alive, and there are as many values as it has arguments, none of
        // them null; no snapshot is given, so SPI takes one.
        let status = unsafe {
            pg_sys::SPI_execute_snapshot(
                self.raw,
                values.as_mut_ptr(),
                std::ptr::null(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                false,
                fires_triggers,
                0,
            )
        };
        if status < 0 {
            return Err(Raised::new("XX000", format!("SPI_execute_snapshot answers {status}")));
        }
        // SAFETY: set by the call above.
        Ok(unsafe { pg_sys::SPI_processed })
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: the plan was kept, and is freed once.
        unsafe { pg_sys::SPI_freeplan(self.raw) };
    }
}

/// Runs statements that join a target with few staged rows: it is to be reached by its key for each of
/// them, and never to be read whole. If `work` raises, the rollback of the attempt that it runs in
/// gives the settings back.
pub fn by_key<T>(work: impl FnOnce() -> Result<T, Raised>) -> Result<T, Raised> {
    without(&[c"enable_hashjoin", c"enable_mergejoin", c"enable_bitmapscan"], work)
}

/// Runs queries that look up keys one by one: by the index alone. A bitmap for the one row of a key takes
/// twice as long, and without statistics the planner does not know that it is one. Settings are given
/// back as by [`by_key`].
pub fn by_index<T>(work: impl FnOnce() -> Result<T, Raised>) -> Result<T, Raised> {
    without(&[c"enable_bitmapscan"], work)
}

/// Runs `work` while these settings of the planner are off.
fn without<T>(settings: &[&CStr], work: impl FnOnce() -> Result<T, Raised>) -> Result<T, Raised> {
    // SAFETY: the level is closed below, or by the rollback of the attempt around it.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    for setting in settings {
        // SAFETY: all are settings of the server, which every user may change; the old value comes back
        // with the level's end.
        unsafe {
            pg_sys::set_config_option(
                setting.as_ptr(),
                c"off".as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
    }
    let value = work();
    // SAFETY: closes the level opened above; `false` undoes what was set in it.
    unsafe { pg_sys::AtEOXact_GUC(false, level) };
    value
}

/// Runs a statement, and says whether it was alone: no code that it called, while it was planned or
/// executed, has written or locked anything. Must be called with SPI connected.
pub fn alone<T>(statement: impl FnOnce() -> Result<T, Raised>) -> Result<(T, bool), Raised> {
    // SAFETY: a backend in a transaction counts the commands that have written. Another one begins here,
    // as it does before each statement of SPI.
    let command = unsafe {
        pg_sys::CommandCounterIncrement();
        pg_sys::GetCurrentCommandId(false)
    };
    let value = statement()?;
    // SAFETY: as above; each statement of SPI ends its command itself.
    let ended = unsafe { pg_sys::GetCurrentCommandId(false) };
    Ok((value, ended <= command + 1))
}

/// Runs `work`, then the after-triggers that its statements have left. If either raises, the
/// attempt's rollback closes the level.
pub fn query_level<T>(_: &Attempt, work: impl FnOnce() -> Result<T, Raised>) -> Result<T, Raised> {
    // SAFETY: the level is closed below, or by the rollback of the attempt. Without an executor
    // state of its own, PostgreSQL makes one for the triggers.
    unsafe { pg_sys::AfterTriggerBeginQuery() };
    let value = work()?;
    // SAFETY: as above.
    unsafe { pg_sys::AfterTriggerEndQuery(std::ptr::null_mut()) };
    Ok(value)
}

/// Makes all constraints of the transaction immediate. Must be called with SPI connected.
pub fn set_constraints_immediate() -> Result<(), Raised> {
    // SAFETY: a utility statement without arguments.
    let status =
        unsafe { pg_sys::SPI_execute(c"set constraints all immediate".as_ptr(), false, 0) };
    if status < 0 {
        return Err(Raised::new("XX000", format!("SPI_execute answers {status}")));
    }
    Ok(())
}
