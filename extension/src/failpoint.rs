//! What tests can do to a backend: stop it or hold it up at a named point, make the merge a mutant, and choose what
//! is worth a set. Without the feature `failpoints` nothing of it is left.

#[cfg(feature = "failpoints")]
mod armed {
    use std::ffi::CString;

    use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, Spi, pg_sys};

    static FAILPOINT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
    static GATE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
    static MUTANT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
    static WALK_BELOW: GucSetting<i32> = GucSetting::<i32>::new(super::WALK_BELOW);
    static EXPECTED: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

    pub fn register_settings() {
        GucRegistry::define_string_guc(
            c"forebay.failpoint",
            c"The point at which the backend stops and waits to be killed or cancelled.",
            c"For tests only.",
            &FAILPOINT,
            GucContext::Suset,
            GucFlags::default(),
        );
        GucRegistry::define_string_guc(
            c"forebay.gate",
            c"The point at which the backend waits for a share of the advisory lock of the tests' gate.",
            c"For tests only.",
            &GATE,
            GucContext::Suset,
            GucFlags::default(),
        );
        GucRegistry::define_string_guc(
            c"forebay.mutant",
            c"What the merge does wrong.",
            c"For tests only, which must notice.",
            &MUTANT,
            GucContext::Suset,
            GucFlags::default(),
        );
        GucRegistry::define_int_guc(
            c"forebay.walk_below",
            c"Runs of fewer rows are applied row by row.",
            c"For tests only.",
            &WALK_BELOW,
            0,
            i32::MAX,
            GucContext::Suset,
            GucFlags::default(),
        );
        GucRegistry::define_string_guc(
            c"forebay.expected",
            c"What all rows are taken for until it shows otherwise: new, changed or same.",
            c"For tests only.",
            &EXPECTED,
            GucContext::Suset,
            GucFlags::default(),
        );
    }

    pub fn is_mutant(name: &str) -> bool {
        MUTANT.get().is_some_and(|mutant| mutant.to_bytes() == name.as_bytes())
    }

    pub fn walk_below() -> i64 {
        i64::from(WALK_BELOW.get())
    }

    pub fn expected() -> String {
        EXPECTED.get().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    pub fn hit(name: &str) {
        let is_named = |setting: Option<CString>| {
            setting.is_some_and(|setting| setting.to_bytes() == name.as_bytes())
        };
        if is_named(GATE.get()) {
            wait_at_gate();
        }
        if is_named(FAILPOINT.get()) {
            pgrx::log!("failpoint hit: {name}");
            wait_to_be_ended();
        }
    }

    /// The lock is the one of the tests' `gate.rs`; the transaction keeps its share. It is waited for
    /// without a limit.
    fn wait_at_gate() {
        let sql = "select pg_catalog.set_config('lock_timeout', '0', true); \
                   select pg_catalog.pg_advisory_xact_lock_shared(x'6f726562'::pg_catalog.int8)";
        if let Err(error) = Spi::run(sql) {
            pgrx::error!("the gate: {error}");
        }
    }

    fn wait_to_be_ended() {
        loop {
            pgrx::check_for_interrupts!();
            // SAFETY: waits on the backend's own latch, which exists as long as the backend.
            unsafe {
                pg_sys::WaitLatch(
                    pg_sys::MyLatch,
                    (pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
                    -1,
                    pg_sys::PG_WAIT_EXTENSION,
                );
                pg_sys::ResetLatch(pg_sys::MyLatch);
            }
        }
    }
}

/// Runs of fewer rows are applied row by row: planning the statements for a set costs more.
const WALK_BELOW: i32 = 64;

/// Makes the settings known.
pub fn register_settings() {
    #[cfg(feature = "failpoints")]
    armed::register_settings();
}

/// Runs of fewer rows are applied row by row.
pub fn walk_below() -> i64 {
    #[cfg(feature = "failpoints")]
    return armed::walk_below();
    #[cfg(not(feature = "failpoints"))]
    i64::from(WALK_BELOW)
}

/// What all rows are taken for until it shows otherwise: `new`, `changed` or `same`.
pub fn expected() -> String {
    #[cfg(feature = "failpoints")]
    return armed::expected();
    #[cfg(not(feature = "failpoints"))]
    String::new()
}

/// Whether the merge is to make this mistake.
pub fn is_mutant(name: &str) -> bool {
    #[cfg(feature = "failpoints")]
    return armed::is_mutant(name);
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = name;
        false
    }
}

/// Stops here if the setting `forebay.failpoint` names this point; waits here if `forebay.gate` does.
pub fn hit(name: &str) {
    #[cfg(feature = "failpoints")]
    armed::hit(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}
