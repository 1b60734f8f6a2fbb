//! The official client beside a writer: it can't tell what Forebay has written from its own.
#![forbid(unsafe_code)]

mod comparison;
mod contention;
mod give_way;
mod program;
mod race;
mod replica;
mod repository;
mod session;
mod streams;
mod waiting;
