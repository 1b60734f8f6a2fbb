//! `call forebay.wait_for(…)`: waits for an event without holding a snapshot.
//!
//! A snapshot that is held while waiting keeps vacuum back through `hot_standby_feedback`, and
//! without the feedback blocks the very replay that it waits for. A procedure, unlike a function,
//! may give back the snapshot that its portal took for it, as COMMIT inside a procedure does.
//!
//! Giving it back is not enough: replay that meets a snapshot in its way waits for the end of the
//! whole transaction, also when the snapshot is long gone. So outside a transaction block each look
//! is a transaction of its own, and replay waits for a look at most.

use std::time::{Duration, Instant};

use pgrx::pg_sys::{self, Datum, FunctionCallInfo, Oid};
use pgrx::prelude::*;

use crate::attempt::Raised;
use crate::plan::Plan;

/// How long one sleep lasts at most: the delay that a waiter adds.
const POLL: Duration = Duration::from_millis(3);

/// What is waited for.
struct Event {
    source: String,
    topic: String,
    partition: i32,
    offset: i64,
}

/// The record by which PostgreSQL knows the calling convention of `forebay_wait_for`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_forebay_wait_for() -> &'static pg_sys::Pg_finfo_record {
    const RECORD: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &RECORD
}

/// The entry point of the procedure.
///
/// # Safety
///
/// Called by PostgreSQL's function manager with the arguments that `sql/wait_for.sql` declares.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn forebay_wait_for(fcinfo: FunctionCallInfo) -> Datum {
    // SAFETY: the arguments have the types that the procedure declares.
    let (event, timeout) = unsafe { arguments(fcinfo) };
    // SAFETY: `context` is null or a node.
    let may_commit = unsafe { may_commit(fcinfo) };
    release_portal_snapshot();
    let outcome = Waiter { event, may_commit }.wait(timeout);
    // SAFETY: the call's result is declared as a composite with one column of type text.
    unsafe { one_column(fcinfo, outcome) }
}

/// # Safety
///
/// `fcinfo` carries (text, text, int4, int8, interval, text).
unsafe fn arguments(fcinfo: FunctionCallInfo) -> (Event, Duration) {
    // SAFETY: the caller's promise.
    let (source, topic, partition, offset, timeout) = unsafe {
        (
            pgrx::fcinfo::pg_getarg::<String>(fcinfo, 0),
            pgrx::fcinfo::pg_getarg::<String>(fcinfo, 1),
            pgrx::fcinfo::pg_getarg::<i32>(fcinfo, 2),
            pgrx::fcinfo::pg_getarg::<i64>(fcinfo, 3),
            pgrx::fcinfo::pg_getarg::<pgrx::datum::Interval>(fcinfo, 4),
        )
    };
    let (Some(source), Some(topic), Some(partition), Some(offset), Some(timeout)) =
        (source, topic, partition, offset, timeout)
    else {
        refuse(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "wait_for needs a source, a topic, a partition, an offset and a timeout",
            "Only the last argument, which takes the outcome, may be null.",
        )
    };
    (Event { source, topic, partition, offset }, duration_of(&timeout))
}

/// A day counts 24 hours and a month 30 days, as in `extract(epoch from interval)`.
fn duration_of(interval: &pgrx::datum::Interval) -> Duration {
    const DAY: i128 = 86_400_000_000;
    let days = i128::from(interval.days()) + 30 * i128::from(interval.months());
    let micros = i128::from(interval.micros()) + DAY * days;
    Duration::from_micros(u64::try_from(micros.max(0)).unwrap_or(u64::MAX))
}

/// Whether the call stands outside a transaction block, and so may end its transaction.
///
/// # Safety
///
/// `fcinfo` is that of the call.
unsafe fn may_commit(fcinfo: FunctionCallInfo) -> bool {
    // SAFETY: CALL passes a `CallContext`; whatever else is passed is a node of another type.
    unsafe {
        let context = (*fcinfo).context;
        !context.is_null()
            && (*context).type_ == pg_sys::NodeTag::T_CallContext
            && !(*context.cast::<pg_sys::CallContext>()).atomic
    }
}

/// Gives back the snapshot that the portal took for the call, or refuses, having touched nothing.
fn release_portal_snapshot() {
    // SAFETY: reads variables of the backend. A portal is active while a procedure runs.
    let (isolation, portal) = unsafe { (pg_sys::XactIsoLevel, pg_sys::ActivePortal) };
    if isolation >= pg_sys::XACT_REPEATABLE_READ as i32 {
        refuse_state(
            "wait_for cannot wait in a repeatable read transaction",
            "Its snapshot never sees what is merged later. Call it outside, or in a read committed transaction.",
        );
    }
    // SAFETY: the portal lives as long as the call. Its snapshot is the one at the top of the stack
    // where it is popped; the portal forgets it, as it does when a procedure commits.
    unsafe {
        let is_portals_own = !portal.is_null()
            && !(*portal).portalSnapshot.is_null()
            && pg_sys::ActiveSnapshotSet()
            && pg_sys::GetActiveSnapshot() == (*portal).portalSnapshot;
        if !is_portals_own {
            refuse_state(
                "wait_for cannot wait inside a function",
                "A function holds a snapshot until it returns. Call the procedure directly.",
            );
        }
        pg_sys::PopActiveSnapshot();
        (*portal).portalSnapshot = std::ptr::null_mut();
        if !(*portal).holdSnapshot.is_null() {
            pg_sys::UnregisterSnapshotFromOwner((*portal).holdSnapshot, (*portal).resowner);
            (*portal).holdSnapshot = std::ptr::null_mut();
        }
        pg_sys::InvalidateCatalogSnapshot();
        if pg_sys::HaveRegisteredOrActiveSnapshot() {
            refuse_state(
                "wait_for cannot wait while this transaction holds a snapshot",
                "Close the open cursors of the transaction first.",
            );
        }
    }
}

/// Waits for an event.
struct Waiter {
    event: Event,
    /// Whether it may end its transaction.
    may_commit: bool,
}

impl Waiter {
    fn wait(&self, timeout: Duration) -> String {
        let deadline = Instant::now().checked_add(timeout);
        let mut plan = None;
        loop {
            let seen = completed_transactions();
            if let Some(outcome) = self.look(&mut plan) {
                return outcome;
            }
            if !sleep_until_moved(seen, deadline) {
                return "timeout".to_owned();
            }
        }
    }

    /// Looks once, with a snapshot of its own, and in a transaction of its own if it may.
    fn look(&self, plan: &mut Option<Plan>) -> Option<String> {
        // SAFETY: pushed here and popped below; an error in between ends the transaction, which
        // pops it. The catalog snapshot that the look may have taken goes with it.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
        let outcome = Spi::connect_mut(|_| self.outcome(plan));
        // SAFETY: as above.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::InvalidateCatalogSnapshot();
        }
        if self.may_commit {
            start_new_transaction();
        }
        outcome.unwrap_or_else(|raised| {
            let message = format!("wait_for cannot look: {}", raised.message);
            refuse(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, message, "")
        })
    }

    fn outcome(&self, plan: &mut Option<Plan>) -> Result<Option<String>, Raised> {
        const SQL: &str = "select forebay.outcome($1, $2, $3, $4)";
        const TYPES: [Oid; 4] =
            [pg_sys::TEXTOID, pg_sys::TEXTOID, pg_sys::INT4OID, pg_sys::INT8OID];
        let plan = match plan {
            Some(plan) => plan,
            None => plan.insert(Plan::prepare(SQL, &TYPES)?),
        };
        let Event { source, topic, partition, offset } = &self.event;
        let text = |text: &String| text.as_str().into_datum().unwrap_or(Datum::null());
        plan.first_text(&[text(source), text(topic), Datum::from(*partition), Datum::from(*offset)])
    }
}

/// Ends the transaction, which has written nothing, and begins another one: what waits for the old
/// one goes on.
fn start_new_transaction() {
    // SAFETY: the call is not atomic, so the procedure may commit; SPI is connected for that alone.
    unsafe {
        pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32);
        pg_sys::SPI_commit();
        pg_sys::SPI_finish();
    }
}

/// Sleeps until other transactions than these have ended. False if that is not before the deadline.
fn sleep_until_moved(seen: u64, deadline: Option<Instant>) -> bool {
    loop {
        let left = deadline.map_or(POLL, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return false;
        }
        sleep(left.min(POLL));
        if completed_transactions() != seen {
            return true;
        }
    }
}

/// How many transactions have ended since the server started, on a replica by replay. It moves
/// before anything new can be seen, so a look that found nothing need not be repeated until then.
fn completed_transactions() -> u64 {
    // SAFETY: a counter in shared memory that exists as long as the server; a torn read is not
    // possible on the 64-bit platforms that pgrx supports.
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    unsafe {
        std::ptr::read_volatile(&raw const (*pg_sys::ShmemVariableCache).xactCompletionCount)
    }
    // SAFETY: as above, under its later name.
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    unsafe {
        std::ptr::read_volatile(&raw const (*pg_sys::TransamVariables).xactCompletionCount)
    }
}

fn sleep(duration: Duration) {
    let milliseconds = duration.as_millis().max(1) as i64;
    // SAFETY: waits on the backend's own latch, which exists as long as the backend.
    unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
            milliseconds,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}

/// # Safety
///
/// The call returns a composite with one column of type text.
unsafe fn one_column(fcinfo: FunctionCallInfo, text: String) -> Datum {
    let mut description = std::ptr::null_mut();
    let mut is_null = false;
    // SAFETY: the caller's promise; PostgreSQL owns what is allocated here.
    unsafe {
        pg_sys::get_call_result_type(fcinfo, std::ptr::null_mut(), &mut description);
        let description = pg_sys::BlessTupleDesc(description);
        let mut value = text.into_datum().unwrap_or(Datum::null());
        let tuple = pg_sys::heap_form_tuple(description, &mut value, &mut is_null);
        pg_sys::heap_copy_tuple_as_datum(tuple, description)
    }
}

fn refuse_state(message: &'static str, hint: &str) -> ! {
    refuse(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message, hint)
}

fn refuse(code: PgSqlErrorCode, message: impl Into<String>, hint: &str) -> ! {
    pgrx::pg_sys::panic::ErrorReport::new(code, message.into(), "forebay_wait_for")
        .set_hint(hint)
        .report(PgLogLevel::ERROR);
    unreachable!("an error has been raised")
}
