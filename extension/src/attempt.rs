//! A subtransaction that returns the error it met, with all of its fields.
//!
//! pgrx turns an error of PostgreSQL into a panic that carries message and hint, but neither the
//! constraint nor an SQLSTATE that is not in its list. An error context callback, which PostgreSQL
//! runs while the error is being reported, takes them from the error itself.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Deref;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgLogLevel, PgTryBuilder, spi};
use serde::Serialize;

/// An error, as PostgreSQL reports it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Raised(Box<Report>);

/// The fields of an error.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Five characters.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The detail, if any; else the statement of the merge that raised it.
    pub detail: Option<String>,
    /// What to do, if the error says so.
    pub hint: Option<String>,
    /// The schema of the table concerned.
    pub schema: Option<String>,
    /// The table concerned.
    pub table: Option<String>,
    /// The column concerned.
    pub column: Option<String>,
    /// The constraint concerned.
    pub constraint: Option<String>,
}

impl Deref for Raised {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.0
    }
}

impl Raised {
    /// An error of Forebay's own.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        Raised(Box::new(Report {
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            ..Report::default()
        }))
    }

    /// The same error with a hint that says what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with the table that it is about.
    pub fn about_table(mut self, schema: &str, table: &str) -> Self {
        self.0.schema = Some(schema.to_owned());
        self.0.table = Some(table.to_owned());
        self
    }

    /// The same error with the constraint that it is about.
    pub fn about_constraint(mut self, constraint: Option<String>) -> Self {
        self.0.constraint = constraint;
        self
    }

    fn is_reported_again_as(&self, raised: &Raised) -> bool {
        self.sqlstate == raised.sqlstate
            && self.message == raised.message
            && raised.table.is_none()
            && raised.constraint.is_none()
    }

    fn from_caught(caught: &CaughtError) -> Self {
        let report = match caught {
            CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic { ereport: report, .. } => report,
        };
        Raised(Box::new(Report {
            sqlstate: sqlstate_text(report.sql_error_code() as i32),
            message: report.message().to_owned(),
            detail: report.detail().map(str::to_owned),
            hint: report.hint().map(str::to_owned),
            ..Report::default()
        }))
    }
}

impl From<spi::Error> for Raised {
    fn from(error: spi::Error) -> Self {
        Raised::new("XX000", format!("server programming interface: {error}"))
    }
}

/// Proof that the code runs inside an [`attempt`], whose rollback undoes a switch of user or a
/// query level that an error left behind.
pub struct Attempt(());

/// Runs `work` in a subtransaction. It is kept if `work` succeeds, and rolled back if `work` raises
/// or returns an error.
pub fn attempt<T>(work: impl FnOnce(&Attempt) -> Result<T, Raised>) -> Result<T, Raised> {
    let subtransaction = Subtransaction::begin();
    let mut reported = None;
    let outcome = reporting_to(&mut reported, || {
        PgTryBuilder::new(AssertUnwindSafe(|| work(&Attempt(()))))
            .catch_others(|caught| Err(Raised::from_caught(&caught)))
            .catch_rust_panic(|caught| Err(Raised::from_caught(&caught)))
            .execute()
    });
    match outcome {
        Ok(value) => {
            subtransaction.release();
            Ok(value)
        }
        Err(raised) => {
            subtransaction.roll_back();
            Err(complete(raised, reported))
        }
    }
}

/// Prefers what PostgreSQL itself reported, if it is about the same error.
fn complete(raised: Raised, reported: Option<Raised>) -> Raised {
    match reported {
        Some(reported) if reported.message == raised.message => reported,
        _ => raised,
    }
}

struct Subtransaction {
    memory_context: pg_sys::MemoryContext,
    resource_owner: pg_sys::ResourceOwner,
}

impl Subtransaction {
    fn begin() -> Self {
        // SAFETY: called by a backend inside a transaction. The caller's memory context and
        // resource owner stay the current ones, as PL/pgSQL does it.
        unsafe {
            let memory_context = pg_sys::CurrentMemoryContext;
            let resource_owner = pg_sys::CurrentResourceOwner;
            pg_sys::BeginInternalSubTransaction(std::ptr::null());
            pg_sys::MemoryContextSwitchTo(memory_context);
            Subtransaction { memory_context, resource_owner }
        }
    }

    fn release(self) {
        // SAFETY: `begin` started the current subtransaction, and every deeper one has ended.
        unsafe { pg_sys::ReleaseCurrentSubTransaction() };
        self.restore();
    }

    fn roll_back(self) {
        // SAFETY: as in `release`; the error that led here is no longer being reported.
        unsafe { pg_sys::RollbackAndReleaseCurrentSubTransaction() };
        self.restore();
    }

    fn restore(self) {
        // SAFETY: both were current when the subtransaction began, and belong to its parent.
        unsafe {
            pg_sys::MemoryContextSwitchTo(self.memory_context);
            pg_sys::CurrentResourceOwner = self.resource_owner;
        }
    }
}

/// Runs `work`; the last error that PostgreSQL reports meanwhile lands in `reported`.
fn reporting_to<T>(reported: &mut Option<Raised>, work: impl FnOnce() -> T) -> T {
    // SAFETY: the callback lives on this stack frame and is unlinked before the frame ends: `work`
    // does not unwind, since the only caller catches whatever it raises.
    unsafe {
        let mut callback = pg_sys::ErrorContextCallback {
            previous: pg_sys::error_context_stack,
            callback: Some(keep_reported),
            arg: std::ptr::from_mut(reported).cast(),
        };
        pg_sys::error_context_stack = &mut callback;
        let outcome = work();
        pg_sys::error_context_stack = callback.previous;
        outcome
    }
}

/// Called by `errfinish` for every report, notices too. An error that passes through a function of this
/// library is reported again, and does not say any more what it is about.
unsafe extern "C-unwind" fn keep_reported(reported: *mut c_void) {
    // SAFETY: `reported` is the `Option<Raised>` that `reporting_to` linked, which outlives the
    // link. A report is under way, so there is one to copy; the copy goes to the transaction's
    // memory, since the current context is the one that PostgreSQL keeps for errors.
    unsafe {
        let report_context = pg_sys::MemoryContextSwitchTo(pg_sys::CurTransactionContext);
        let report = pg_sys::CopyErrorData();
        if (*report).elevel >= PgLogLevel::ERROR as i32 {
            let raised = Raised(Box::new(Report {
                sqlstate: sqlstate_text((*report).sqlerrcode),
                message: text_of((*report).message).unwrap_or_default(),
                detail: text_of((*report).detail).or_else(|| {
                    text_of((*report).internalquery).map(|query| format!("in: {query}"))
                }),
                hint: text_of((*report).hint),
                schema: text_of((*report).schema_name),
                table: text_of((*report).table_name),
                column: text_of((*report).column_name),
                constraint: text_of((*report).constraint_name),
            }));
            let reported = &mut *reported.cast::<Option<Raised>>();
            if !reported.as_ref().is_some_and(|first| first.is_reported_again_as(&raised)) {
                *reported = Some(raised);
            }
        }
        pg_sys::FreeErrorData(report);
        pg_sys::MemoryContextSwitchTo(report_context);
    }
}

/// # Safety
///
/// `text` is null or a C string.
unsafe fn text_of(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// PostgreSQL packs five characters of six bits each, the first one lowest (`MAKE_SQLSTATE`).
fn sqlstate_text(packed: i32) -> String {
    (0..5).map(|position| char::from(((packed >> (6 * position)) & 0x3f) as u8 + b'0')).collect()
}
