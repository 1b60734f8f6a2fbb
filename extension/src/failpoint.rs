//! Named points at which a test can stop a backend. Without the feature `failpoints` nothing of
//! them is left.

#[cfg(feature = "failpoints")]
mod armed {
    use std::ffi::CString;

    use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_sys};

    static FAILPOINT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

    pub fn register_setting() {
        GucRegistry::define_string_guc(
            c"forebay.failpoint",
            c"The point at which the backend stops and waits to be killed or cancelled.",
            c"For tests only.",
            &FAILPOINT,
            GucContext::Suset,
            GucFlags::default(),
        );
    }

    pub fn hit(name: &str) {
        let is_armed = FAILPOINT.get().is_some_and(|armed| armed.to_bytes() == name.as_bytes());
        if is_armed {
            pgrx::log!("failpoint hit: {name}");
            wait_to_be_ended();
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

/// Makes the setting `forebay.failpoint` known.
pub fn register_setting() {
    #[cfg(feature = "failpoints")]
    armed::register_setting();
}

/// Stops here if the setting `forebay.failpoint` names this point.
pub fn hit(name: &str) {
    #[cfg(feature = "failpoints")]
    armed::hit(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}
