//! Work done as another user.

use pgrx::pg_sys;

use crate::attempt::Attempt;

/// `SECURITY_RESTRICTED_OPERATION` of `miscadmin.h`: the code may not leave traces in the session.
const RESTRICTED: i32 = pg_sys::SECURITY_RESTRICTED_OPERATION as i32;
/// `SECURITY_LOCAL_USERID_CHANGE` of `miscadmin.h`: the code may not change the user itself.
const LOCAL_CHANGE: i32 = pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32;

/// Runs `work` as the owner of a target, in a security-restricted operation: whatever a trigger, a
/// default or an operator of that owner does, it does with that owner's rights, and its settings
/// end with it. If `work` raises, the attempt's rollback restores the user.
pub fn as_table_owner<T>(_: &Attempt, owner: pg_sys::Oid, work: impl FnOnce() -> T) -> T {
    // SAFETY: the level is closed below, or by the attempt's rollback.
    let settings_level = unsafe { pg_sys::NewGUCNestLevel() };
    let result = as_user(owner, RESTRICTED, work);
    // SAFETY: closes the level opened above; `false` undoes what was set in it.
    unsafe { pg_sys::AtEOXact_GUC(false, settings_level) };
    result
}

/// Runs `work`, Forebay's own code, as the extension's owner. If `work` raises, the attempt's
/// rollback restores the user.
pub fn as_extension_owner<T>(_: &Attempt, owner: pg_sys::Oid, work: impl FnOnce() -> T) -> T {
    as_user(owner, LOCAL_CHANGE, work)
}

fn as_user<T>(user: pg_sys::Oid, context: i32, work: impl FnOnce() -> T) -> T {
    let mut caller = pg_sys::InvalidOid;
    let mut caller_context = 0;
    // SAFETY: both pointers are valid for the call; the identity is restored below, or by the
    // rollback of the attempt that every caller proves to be in.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut caller, &mut caller_context);
        pg_sys::SetUserIdAndSecContext(user, caller_context | context);
    }
    let result = work();
    // SAFETY: gives back what was read above.
    unsafe { pg_sys::SetUserIdAndSecContext(caller, caller_context) };
    result
}

/// The user whose rights count now.
pub fn current_user() -> pg_sys::Oid {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetUserId() }
}
