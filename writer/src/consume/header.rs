//! A message's headers.
//!
//! rdkafka panics when it reads a header whose name is not UTF-8, and gives no other way to read
//! it without unsafe code. Such a header is known by its place alone: its name becomes U+FFFD, its
//! value null.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use rdkafka::message::{BorrowedHeaders, Headers as _};

use crate::record::Header;

/// What stands for a name that is not UTF-8.
const UNREADABLE: &str = "\u{fffd}";

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// All headers in order.
pub fn readable(headers: &BorrowedHeaders) -> Vec<Header<'_>> {
    quiet_panics_while_reading();
    (0..headers.count())
        .map(|index| {
            READING.set(true);
            // Reading changes nothing, so nothing can be left half-done.
            let read = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
            READING.set(false);
            match read {
                Ok(Some(header)) => Header { key: header.key, value: header.value },
                Ok(None) | Err(_) => Header { key: UNREADABLE, value: None },
            }
        })
        .collect()
}

/// A producer must not be able to fill the log with panics that mean nothing.
fn quiet_panics_while_reading() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !READING.get() {
                others(panic);
            }
        }));
    });
}
