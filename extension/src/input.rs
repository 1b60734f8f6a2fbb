//! `forebay_staging.input(literal, null::type, type_modifier)`: a value from its input literal.
//!
//! A cast from text is not that: it cuts what is too long for a domain over `varchar(n)`, and knows
//! no type modifier. This calls the type's own input function, as a literal in a statement does, for
//! nulls too, which a domain may refuse.

use std::ffi::CString;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo, Oid};
use pgrx::prelude::*;

/// The type's input function, looked up once per statement.
struct Input {
    function: pg_sys::FmgrInfo,
    parameter: Oid,
}

/// The record by which PostgreSQL knows the calling convention of `forebay_input`.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_forebay_input() -> &'static pg_sys::Pg_finfo_record {
    const RECORD: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &RECORD
}

/// The entry point of the function.
///
/// # Safety
///
/// Called by PostgreSQL's function manager with the arguments that `sql/input.sql` declares.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn forebay_input(fcinfo: FunctionCallInfo) -> Datum {
    // SAFETY: the arguments have the types that the function declares. The literal lives until the
    // input function has returned; its value is allocated in the caller's memory.
    unsafe {
        let literal = pgrx::fcinfo::pg_getarg::<String>(fcinfo, 0)
            .and_then(|literal| CString::new(literal).ok());
        let type_modifier = pgrx::fcinfo::pg_getarg::<i32>(fcinfo, 2).unwrap_or(-1);
        let input = input_of((*fcinfo).flinfo);
        let text = literal.as_ref().map_or(std::ptr::null(), |literal| literal.as_ptr());
        let value = pg_sys::InputFunctionCall(
            &raw mut (*input).function,
            text.cast_mut(),
            (*input).parameter,
            type_modifier,
        );
        (*fcinfo).isnull = literal.is_none();
        value
    }
}

/// # Safety
///
/// `function` is the record of a call to `forebay_input`, whose second argument's type is known.
unsafe fn input_of(function: *mut pg_sys::FmgrInfo) -> *mut Input {
    // SAFETY: the caller's promise. What is kept lives as long as the record that keeps it.
    unsafe {
        if (*function).fn_extra.is_null() {
            let type_oid = pg_sys::get_fn_expr_argtype(function, 1);
            let input = pg_sys::MemoryContextAllocZero((*function).fn_mcxt, size_of::<Input>())
                .cast::<Input>();
            let mut input_function = pg_sys::InvalidOid;
            pg_sys::getTypeInputInfo(type_oid, &mut input_function, &raw mut (*input).parameter);
            pg_sys::fmgr_info_cxt(input_function, &raw mut (*input).function, (*function).fn_mcxt);
            (*function).fn_extra = input.cast();
        }
        (*function).fn_extra.cast()
    }
}
