//! Butler events, through Kafka and the writer onto the replica.
#![forbid(unsafe_code)]

mod chains;
mod command;
mod repository;
mod sample;
mod shared_file;
