//! Whose fault an error is, by its SQLSTATE.
//!
//! The one table of DESIGN section 4. It knows nothing of PostgreSQL's interface, so that tests
//! read it as it is.

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The event's: it is rejected, and its neighbours go on.
    Event,
    /// The world's: the batch is aborted, and the writer decides what happens.
    World,
}

/// Classes and codes that are the event's fault. Whatever is not listed is the world's.
///
/// 42501 is among them because the rights of a target's owner are checked before the first write:
/// after that, only row security or a trigger can raise it. Where a grant is missing that a row may
/// need elsewhere, it is the world's.
const EVENT_FAULTS: [&str; 6] = ["22", "23", "54000", "44000", "P0001", "42501"];

/// Whose fault the error with this SQLSTATE is, when it was raised by writing an event's rows.
pub fn fault_of(sqlstate: &str) -> Fault {
    let is_event_fault = EVENT_FAULTS.iter().any(|listed| sqlstate.starts_with(listed));
    if is_event_fault { Fault::Event } else { Fault::World }
}
