//! Stages of the writer.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod logging;
pub mod position;
pub mod record;
pub mod record_hash;
pub mod rejection;
pub mod catalog;
pub mod decode;
pub mod encode;
pub mod event_batch;
pub mod json;
#[cfg(test)]
mod testing;
