//! What merged batches have to say to an outgoing topic.
//!
//! [`record()`] writes a row into `forebay.outbox`, in the batch's transaction. After the commit the
//! [`publisher`] of one process per source takes the rows in order, holds them back until the
//! configured [`replicas`] have them, makes [`message`]s of them (and a [`batch_file`]), and deletes
//! them once the broker has acknowledged all. Whatever ends in between, they are published again: at
//! least once, with the positions by which a consumer knows what it has had.

mod batch_file;
mod message;
pub mod publisher;
mod record;
mod replicas;
mod table;

pub use batch_file::probe;
pub use record::record;
pub use replicas::look as look_at_replica;
