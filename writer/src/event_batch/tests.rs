use proptest::prelude::*;

use super::{EventBatch, LastRecord};
use crate::decode::{Format, FormatConfig};
use crate::position::{Offset, Partition, Topic};
use crate::record::Header;
use crate::record_hash::record_hash;
use crate::testing::{copied, debezium, flat, plain_catalog, read_copy, record};

const GOOD: &[u8] = br#"{"sensor":1,"ts":"2025-01-01T00:00:00Z","value":1.5,"note":"n"}"#;

fn names(batch: &EventBatch) -> Vec<(String, i32, i64)> {
    let name = |number| {
        let event = batch.event(number).unwrap();
        (event.topic.as_str().to_owned(), event.partition.0, event.offset.0)
    };
    (0..batch.event_count() as i32).map(name).collect()
}

#[test]
fn numbers_by_topic_partition_offset() {
    let (catalog, [a, b]) = (plain_catalog(), ["a", "b"].map(Topic::from));
    let format = flat(&catalog);
    let mut batch = EventBatch::new();
    let arrival = [(&b, 0, 5), (&a, 10, 1), (&a, 2, 7), (&b, 0, 6), (&a, 2, 9), (&a, 10, 2)];
    for (topic, partition, offset) in arrival {
        let payload = format!(r#"{{"sensor":{offset},"ts":"2025-01-01T00:00:00Z"}}"#);
        let record = record(topic, partition, offset, None, Some(payload.as_bytes()));
        batch.push(&record, &format, &catalog);
    }
    batch.seal();
    let expected = [("a", 2, 7), ("a", 2, 9), ("a", 10, 1), ("a", 10, 2), ("b", 0, 5), ("b", 0, 6)];
    assert_eq!(names(&batch), expected.map(|(topic, p, o)| (topic.to_owned(), p, o)));
    for row in copied(&batch, &catalog, "public.sensor") {
        let offset = batch.event(row.event).unwrap().offset.0 as i32;
        assert_eq!(row.fields[0], Some(offset.to_be_bytes().to_vec()));
        assert_eq!((row.batch, row.row, row.op), (77, 0, b'u'));
    }
    assert!(batch.event(6).is_none() && batch.event(-1).is_none());
}

#[test]
fn copies_all_rows_in_the_order_of_their_keys() {
    let (catalog, topic) = (plain_catalog(), Topic::from("t"));
    let format = flat(&catalog);
    let mut batch = EventBatch::new();
    for (offset, sensor) in (0..).zip([5, -3, 900, 0, -70_000, 1]) {
        let payload = format!(r#"{{"ts":"1999-01-0{}T00:00:00Z","sensor":{sensor}}}"#, offset + 1);
        let record = record(&topic, 0, offset, None, Some(payload.as_bytes()));
        batch.push(&record, &format, &catalog);
    }
    batch.seal();
    let rows = copied(&batch, &catalog, "public.sensor");
    let sensors: Vec<_> = rows.iter().map(|row| row.fields[0].clone()).collect();
    let in_order =
        [-70_000, -3, 0, 1, 5, 900].map(|sensor: i32| Some(sensor.to_be_bytes().to_vec()));
    assert_eq!(sensors, in_order);
    let events: Vec<_> = rows.iter().map(|row| row.event).collect();
    assert_eq!(events, [4, 1, 3, 5, 0, 2]);
}

/// Once the buffers are as large as a batch, decoding one more allocates nothing per row. Where the rows
/// of an event lie deeper than its top, serde_json notes the brackets that it skips; where rows are copied
/// as text, an event needs room to encode in what is only to be checked.
#[test]
fn a_further_batch_allocates_nothing_per_row() {
    const EVENTS: u64 = 200;
    let (catalog, topic) = (plain_catalog(), Topic::from("t"));
    let row = std::str::from_utf8(GOOD).unwrap();
    let some_columns = r#"{"sensor":1,"ts":"2025-01-01T00:00:00Z","value":1.5}"#;
    let rows = Format::new(&FormatConfig::Rows, &catalog).unwrap();
    let entries = |entry: &str| format!(r#"{{"rows":[{}]}}"#, vec![entry; 20].join(","));
    let binary = entries(&format!(r#"{{"table":"public.sensor","row":{row}}}"#));
    let text = entries(r#"{"table":"public.place","row":{"id":1}}"#);
    let change = r#"{"op":"c","source":{"schema":"public","table":"sensor"},"after":"#;
    let change = format!("{change}{row}}}");
    let messages = [
        (flat(&catalog), row, 0),
        (flat(&catalog), some_columns, 0),
        (rows.clone(), binary.as_str(), 2),
        (rows, text.as_str(), 3),
        (debezium(&catalog), change.as_str(), 4),
    ];
    for (format, message, per_event) in messages {
        let mut batch = EventBatch::new();
        let mut push_all = || {
            batch.clear();
            for offset in 0..EVENTS as i64 {
                let record = record(&topic, 0, offset, Some(b"key"), Some(message.as_bytes()));
                batch.push(&record, &format, &catalog);
            }
            assert_eq!(batch.rejections.len(), 0, "{message}");
        };
        push_all();
        let allocated = allocation_counter::measure(push_all);
        let most = EVENTS * per_event + 10;
        assert!(allocated.count_total < most, "{message}: {allocated:?}");
    }
}

#[test]
fn keeps_events_whole() {
    let (catalog, topic) = (plain_catalog(), Topic::from("t"));
    let mut batch = EventBatch::new();
    let headers = vec![
        Header { key: "é", value: Some(b"\0\xff") },
        Header { key: "é", value: None },
        Header { key: "", value: Some(b"") },
    ];
    let mut given = record(&topic, 3, 9, Some(b"key\xff"), Some(b"not json"));
    given.headers = headers.clone();
    batch.push(&given, &flat(&catalog), &catalog);
    batch.push(&record(&topic, 3, 10, None, Some(b"")), &flat(&catalog), &catalog);
    batch.push(&record(&topic, 3, 11, Some(b""), None), &flat(&catalog), &catalog);
    batch.seal();
    let event = batch.event(0).unwrap();
    assert_eq!((event.key, event.payload), (given.key, given.payload));
    assert_eq!((event.headers, event.timestamp_ms), (headers, Some(1009)));
    let bodies = [1, 2].map(|number| {
        let event = batch.event(number).unwrap();
        (event.key.map(<[u8]>::to_vec), event.payload.map(<[u8]>::to_vec))
    });
    assert_eq!(bodies, [(None, Some(vec![])), (Some(vec![]), None)]);
    let rejected: Vec<_> = batch.rejections().map(|(number, _)| number).collect();
    assert_eq!(rejected, [0, 1, 2]);
    assert_eq!((batch.event_count(), batch.row_count()), (3, 0));
}

#[test]
fn says_how_far_it_goes() {
    let (catalog, [a, b]) = (plain_catalog(), ["a", "b"].map(Topic::from));
    let format = flat(&catalog);
    let mut batch = EventBatch::new();
    assert!(batch.is_empty());
    batch.advance_to(&b, Partition(1), Offset(50));
    assert!(!batch.is_empty(), "there is progress to write");
    batch.advance_to(&b, Partition(1), Offset(40));
    batch.push(&record(&a, 7, 4, Some(b"k"), Some(GOOD)), &format, &catalog);
    batch.push(&record(&a, 7, 6, None, Some(b"bad")), &format, &catalog);
    batch.advance_to(&a, Partition(7), Offset(9));
    batch.seal();
    let positions = batch.positions();
    let bounds: Vec<_> = positions
        .iter()
        .map(|p| (p.topic.as_str(), p.partition.0, p.first_offset.0, p.next_offset.0))
        .collect();
    assert_eq!(bounds, [("a", 7, 4, 9), ("b", 1, 50, 50)]);
    let hash = record_hash(None, Some(b"bad"));
    let last = LastRecord { offset: Offset(6), timestamp_ms: Some(1006), hash };
    assert_eq!((&positions[0].last, &positions[1].last), (&Some(last), &None));
}

#[test]
fn is_as_new_when_cleared() {
    let (catalog, topic) = (plain_catalog(), Topic::from("t"));
    let format = flat(&catalog);
    let mut batch = EventBatch::new();
    batch.push(&record(&topic, 0, 0, None, Some(GOOD)), &format, &catalog);
    batch.push(&record(&topic, 0, 1, None, Some(b"x")), &format, &catalog);
    let first = batch.byte_count();
    assert!(first > 2 * GOOD.len());
    batch.clear();
    assert!(batch.is_empty());
    assert_eq!((batch.event_count(), batch.row_count(), batch.byte_count()), (0, 0, 0));
    assert_eq!((batch.targets().count(), batch.rejections().count()), (0, 0));
    batch.push(&record(&topic, 0, 0, None, Some(GOOD)), &format, &catalog);
    batch.push(&record(&topic, 0, 1, None, Some(b"x")), &format, &catalog);
    assert_eq!(batch.byte_count(), first);
}

#[test]
fn copies_in_chunks_of_whole_rows() {
    let (catalog, topic) = (plain_catalog(), Topic::from("t"));
    let format = flat(&catalog);
    let mut batch = EventBatch::new();
    for offset in 0..3000 {
        let payload = format!(
            r#"{{"sensor":{offset},"ts":"2025-01-01T00:00:00Z","note":"{}"}}"#,
            "x".repeat(offset as usize % 400)
        );
        batch.push(&record(&topic, 0, offset, None, Some(payload.as_bytes())), &format, &catalog);
    }
    batch.seal();
    let target = catalog.find("public.sensor").unwrap();
    let chunks: Vec<_> = batch.copy_chunks(&batch.rows_of(target), 1).collect();
    assert!(chunks.len() > 4, "{}", chunks.len());
    assert!(chunks.iter().all(|chunk| chunk.len() < 130 << 10));
    let events: Vec<_> =
        copied(&batch, &catalog, "public.sensor").iter().map(|row| row.event).collect();
    assert_eq!(events, (0..3000).collect::<Vec<_>>());
    assert_eq!(batch.targets().collect::<Vec<_>>(), [(target, 3000)]);
    let empty = catalog.find("public.log").unwrap();
    let bytes: usize = batch.copy_chunks(&batch.rows_of(empty), 1).map(|chunk| chunk.len()).sum();
    assert_eq!(bytes, 19 + 2);
}

#[test]
fn refuses_an_event_of_boundless_rows() {
    // 24 bytes of an event make 200 columns of nulls.
    let columns: Vec<_> = (0..200).map(|column| format!("c{column}")).collect();
    let columns: Vec<_> =
        columns.iter().map(|c| (c.as_str(), tokio_postgres::types::Type::INT4)).collect();
    let catalog =
        crate::catalog::Catalog::new(vec![crate::testing::target("p.w", &[], "append", &columns)]);
    let format = Format::new(&FormatConfig::Rows, &catalog).unwrap();
    let payload = format!(
        r#"{{"rows":[{}{{"table":"p.w","row":{{}}}}]}}"#,
        r#"{"table":"p.w","row":{}},"#.repeat(100_000)
    );
    let topic = Topic::from("t");
    let mut batch = EventBatch::new();
    batch.push(&record(&topic, 0, 0, None, Some(payload.as_bytes())), &format, &catalog);
    assert_eq!(batch.row_count(), 0);
    batch.seal();
    assert_eq!(crate::testing::sqlstate(&batch), "54000");
}

proptest! {
    /// What a rejected event leaves behind is itself, for the dead letters, and nothing else.
    #[test]
    fn rejected_events_leave_no_rows(
        events in prop::collection::vec((any::<bool>(), 1usize..4, 0usize..4), 1..20),
    ) {
        let (catalog, topic) = (plain_catalog(), Topic::from("t"));
        let format = Format::new(&FormatConfig::Rows, &catalog).unwrap();
        let (mut mixed, mut clean) = (EventBatch::new(), EventBatch::new());
        for (offset, (is_good, sensors, lines)) in events.iter().enumerate() {
            let sensor = r#"{"table":"public.sensor","row":{"sensor":1,"ts":"2025-01-01T00:00Z"}}"#;
            let line = r#"{"table":"public.log","row":{"line":"x","data":[1,{"a":null}]}}"#;
            // The fault comes last, in the middle of a row.
            let fault = r#"{"table":"public.log","row":{"line":"y","data":"\u0000"}}"#;
            let mut entries = vec![sensor; *sensors];
            entries.extend(vec![line; *lines]);
            entries.extend((!is_good).then_some(fault));
            let payload = format!(r#"{{"rows":[{}]}}"#, entries.join(","));
            let before = (mixed.row_count(), mixed.rows.byte_count());
            let record = record(&topic, 0, offset as i64, None, Some(payload.as_bytes()));
            mixed.push(&record, &format, &catalog);
            if *is_good {
                clean.push(&record, &format, &catalog);
            } else {
                prop_assert_eq!(before, (mixed.row_count(), mixed.rows.byte_count()));
            }
        }
        mixed.seal();
        clean.seal();
        let rejected = events.iter().filter(|(is_good, ..)| !is_good).count();
        prop_assert_eq!(mixed.rejections().count(), rejected);
        for target in ["public.sensor", "public.log"] {
            let rows = |batch: &EventBatch| copied(batch, &catalog, target).into_iter().map(|row| {
                (batch.event(row.event).unwrap().offset, row.row, row.given, row.fields)
            }).collect::<Vec<_>>();
            prop_assert_eq!(rows(&mixed), rows(&clean));
        }
    }

    /// However partitions are interleaved, the numbers are those of the sorted positions.
    #[test]
    fn numbers_do_not_depend_on_arrival(
        arrival in prop::collection::vec((0usize..3, 0i32..4), 0..60),
    ) {
        let (catalog, topics) = (plain_catalog(), ["b", "a", "c"].map(Topic::from));
        let format = flat(&catalog);
        let mut batch = EventBatch::new();
        let mut expected = Vec::new();
        for (offset, (topic, partition)) in arrival.into_iter().enumerate() {
            let topic = &topics[topic];
            let offset = offset as i64 * 2;
            batch.push(&record(topic, partition, offset, None, Some(GOOD)), &format, &catalog);
            expected.push((topic.as_str().to_owned(), partition, offset));
        }
        batch.seal();
        expected.sort();
        prop_assert_eq!(names(&batch), expected);
        let mut events: Vec<_> =
            copied(&batch, &catalog, "public.sensor").iter().map(|row| row.event).collect();
        events.sort();
        prop_assert_eq!(events, (0..batch.event_count() as i32).collect::<Vec<_>>());
    }
}

/// Halving parts rows between events, until one event's rows are left.
#[test]
fn halves_down_to_single_events() {
    let (catalog, topic) = (plain_catalog(), Topic::from("t"));
    let format = Format::new(&FormatConfig::Rows, &catalog).unwrap();
    let mut batch = EventBatch::new();
    let row = r#"{"table":"public.log","row":{}}"#;
    // The number of rows that each event has.
    let counts = [1, 3, 0, 1, 5, 1];
    for (offset, count) in (0..).zip(counts) {
        let rows = vec![row; count].join(",");
        let payload = format!(r#"{{"rows":[{rows}]}}"#);
        batch.push(&record(&topic, 0, offset, None, Some(payload.as_bytes())), &format, &catalog);
    }
    batch.seal();
    let mut pending = vec![batch.rows_of(catalog.find("public.log").unwrap())];
    let mut found = Vec::new();
    while let Some(part) = pending.pop() {
        match batch.halves(&part) {
            Ok([first, second]) => {
                assert_eq!(first.row_count() + second.row_count(), part.row_count());
                assert!(first.row_count() > 0 && second.row_count() > 0);
                pending.extend([second, first]);
            }
            Err(event) => {
                let events: Vec<_> =
                    read_copy(&batch.copy_chunks(&part, 7).collect::<Vec<_>>().concat())
                        .iter()
                        .map(|row| row.event)
                        .collect();
                assert_eq!(events, vec![event; counts[event as usize]]);
                found.push(event);
            }
        }
    }
    assert_eq!(found, [0, 1, 3, 4, 5]);
}
