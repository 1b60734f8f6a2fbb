//! The official client beside a writer: it can't tell what Forebay has written from its own.
#![forbid(unsafe_code)]

mod program;
mod replica;
mod repository;
