//! The events of a batch, whole: key, payload and headers in one growing buffer.

use std::ops::Range;

use super::partition::{LastRecord, Partitions};
use super::recycle;
use crate::position::{Offset, Partition, Topic};
use crate::record::{Header, Record};
use crate::record_hash::record_hash;

/// An event of a batch.
#[derive(Debug, Clone)]
pub struct EventRef<'a> {
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
    /// Its value.
    pub payload: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: Vec<Header<'a>>,
}

/// All events, indexed by arrival.
#[derive(Debug, Default)]
pub(super) struct Events {
    events: Vec<Event>,
    bytes: Vec<u8>,
    headers: Vec<HeaderSpan>,
    /// Indexes by number.
    by_number: Vec<u32>,
    /// Numbers by index.
    numbers: Vec<i32>,
}

#[derive(Debug)]
struct Event {
    partition: usize,
    offset: Offset,
    timestamp_ms: Option<i64>,
    key: Option<Range<usize>>,
    payload: Option<Range<usize>>,
    headers: Range<usize>,
}

#[derive(Debug)]
struct HeaderSpan {
    key: Range<usize>,
    value: Option<Range<usize>>,
}

impl Events {
    /// Copies a record; gives its index.
    pub fn push(&mut self, record: &Record<'_>, partition: usize) -> u32 {
        let key = record.key.map(|key| self.keep(key));
        let payload = record.payload.map(|payload| self.keep(payload));
        let first_header = self.headers.len();
        for header in &record.headers {
            let key = self.keep(header.key.as_bytes());
            let value = header.value.map(|value| self.keep(value));
            self.headers.push(HeaderSpan { key, value });
        }
        let index = self.events.len() as u32;
        self.events.push(Event {
            partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key,
            payload,
            headers: first_header..self.headers.len(),
        });
        index
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn byte_count(&self) -> usize {
        self.bytes.len()
            + self.events.len() * (size_of::<Event>() + 8)
            + self.headers.len() * size_of::<HeaderSpan>()
    }

    pub fn clear(&mut self) {
        recycle(&mut self.events);
        recycle(&mut self.bytes);
        recycle(&mut self.headers);
        recycle(&mut self.by_number);
        recycle(&mut self.numbers);
    }

    /// Numbers all events by (topic, partition, offset).
    pub fn number(&mut self, partitions: &Partitions) {
        let ranks = partitions.ranks();
        self.by_number.clear();
        self.by_number.extend(0..self.events.len() as u32);
        let events = &self.events;
        self.by_number.sort_by_key(|index| {
            let event = &events[*index as usize];
            (ranks[event.partition], event.offset)
        });
        self.numbers.clear();
        self.numbers.resize(self.events.len(), 0);
        for (number, index) in self.by_number.iter().enumerate() {
            self.numbers[*index as usize] = number as i32;
        }
    }

    /// The number of the event of this index.
    pub fn number_of(&self, index: u32) -> i32 {
        debug_assert_eq!(self.numbers.len(), self.events.len(), "the batch is not sealed");
        self.numbers[index as usize]
    }

    /// What progress keeps of the event of this index, if it is the last.
    pub fn last_record(&self, index: u32) -> LastRecord {
        let event = &self.events[index as usize];
        let hash = record_hash(self.slice(&event.key), self.slice(&event.payload));
        LastRecord { offset: event.offset, timestamp_ms: event.timestamp_ms, hash }
    }

    /// The event of this number.
    pub fn get<'a>(&'a self, number: i32, partitions: &'a Partitions) -> Option<EventRef<'a>> {
        let index = *self.by_number.get(usize::try_from(number).ok()?)?;
        let event = &self.events[index as usize];
        let (topic, partition) = partitions.name(event.partition);
        let headers = self.headers[event.headers.clone()].iter().map(|header| Header {
            // What was kept was a str.
            key: std::str::from_utf8(&self.bytes[header.key.clone()]).unwrap_or_default(),
            value: self.slice(&header.value),
        });
        Some(EventRef {
            topic,
            partition,
            offset: event.offset,
            timestamp_ms: event.timestamp_ms,
            key: self.slice(&event.key),
            payload: self.slice(&event.payload),
            headers: headers.collect(),
        })
    }

    fn slice(&self, span: &Option<Range<usize>>) -> Option<&[u8]> {
        span.clone().map(|span| &self.bytes[span])
    }
}
