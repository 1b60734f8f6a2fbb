//! The writer: Kafka events into PostgreSQL, merged exactly once.
//!
//! The pipeline is the module list, in the order of the data:
//!
//! 1. [`consume`] reads records on a thread of its own, at the offsets that a [`claim`] gave.
//! 2. [`decode`] turns a record into rows of targets that the [`catalog`] knows, or a [`rejection`].
//! 3. [`event_batch`] holds the encoded rows; [`hand_over`] is where batches change hands.
//! 4. [`files`] looks whether the files of datasets are there, and copies staged ones, if that is
//!    configured. [`stage`] copies a batch into a slot, [`resolve`] lets a format work on it there.
//! 5. [`merge`] calls the merge, [`dead_letter`] keeps what was rejected.
//!    [`outbox`] what a batch has to say, and later publishes it.
//! 6. [`acknowledge`] counts, logs, and tells the broker, after the commit.
//!
//! A [`worker`] does all of it for one claim of the partitions that [`ownership`] gives it;
//! [`pipeline`] decides what happens between claims, by the tables in [`retry`] and
//! [`consume::verdict`]; a [`process`] has one pipeline per worker.
#![forbid(unsafe_code)]

pub mod acknowledge;
pub mod backoff;
pub mod butler_command;
pub mod catalog;
pub mod check;
pub mod claim;
pub mod cli;
pub mod command_error;
pub mod config;
pub mod consume;
pub mod dead_letter;
pub mod dead_letter_expiry;
pub mod dead_letters;
pub mod decode;
pub mod encode;
pub mod event_batch;
pub mod extension;
pub mod failpoint;
pub mod failure;
pub mod files;
pub mod hand_over;
pub mod health;
pub mod http;
pub mod json;
pub mod kafka;
pub mod known_progress;
pub mod lag;
pub mod log_check;
pub mod logging;
pub mod merge;
pub mod metrics;
pub mod outbox;
pub mod ownership;
pub mod pipeline;
pub mod position;
pub mod process;
#[cfg(test)]
mod protocol_model;
pub mod record;
pub mod record_hash;
pub mod reject;
pub mod rejection;
pub mod resolve;
pub mod resume;
pub mod retry;
pub mod run;
pub mod server;
pub mod session;
pub mod sphgeom;
pub mod stage;
pub mod start;
pub mod status;
pub mod stopped_partition;
pub mod survey;
pub mod suspicion;
#[cfg(test)]
mod testing;
pub mod text_table;
pub mod tls;
pub mod worker;
