//! Bytes of a message into rows of targets, or a reason why not. Nothing here panics, recurses or
//! allocates without bound, whatever the bytes.

mod butler;
mod copy_text;
mod debezium;
mod flat;
mod format;
mod row_values;
mod row_writer;
mod rows;

pub use butler::{
    Butler, ButlerConfig, ButlerResolve, Checksum, DatastoreRoot, EventFile, files_of,
};
pub use debezium::{BadTableRule, Debezium, DebeziumConfig, TableRule, UNAVAILABLE_VALUE};
pub use flat::Flat;
pub use format::{Format, FormatConfig, FormatError};
pub use row_writer::{Op, RowWriter};
pub use rows::Rows;

pub(crate) use row_writer::{BATCH_AT, EVENT_AT, FIRST_COLUMN_AT, TEXT_BATCH, TEXT_EVENT};

#[cfg(test)]
mod tests;
