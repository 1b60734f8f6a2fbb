//! The merge by itself: against another session, with many poisonous events, with a hostile owner.
#![forbid(unsafe_code)]

mod batch;
mod concurrent_key;
mod concurrent_parent;
mod concurrent_reference;
mod concurrent_unique;
mod described;
mod either_way;
mod expected;
mod hostile_owner;
mod hostile_reference;
mod kept_plans;
mod many_poisons;
mod missing_right;
mod nothing_armed;
mod odd_schema;
mod ordered;
mod renamed;
mod session;
mod set_based_keys;
