//! Regions against the library's answers, and against what must hold of any.

mod encoding;
mod invariants;
mod sample;
