//! A Kafka message, borrowed for as long as it takes to decode it.

use crate::position::{Offset, Partition, Topic};

/// One Kafka message, as the consumer lends it.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// Its topic.
    pub topic: &'a Topic,
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Its headers, in order; a name may come twice.
    pub headers: Vec<Header<'a>>,
}

/// One header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The header's name.
    pub key: &'a str,
    /// Its value, which Kafka allows to be null.
    pub value: Option<&'a [u8]>,
}
