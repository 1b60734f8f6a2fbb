//! `flat` and `rows`, and what holds for every format.

use proptest::prelude::*;

use super::{Format, FormatConfig, FormatError};
use crate::event_batch::EventBatch;
use crate::position::Topic;
use crate::testing::{
    butler, butler_catalog, copied, debezium, decode, decode_keyed, flat, plain_catalog, record,
    sample, sqlstate,
};

const SENSOR: &str = "public.sensor";

fn rows_format() -> Format {
    Format::Rows(super::Rows)
}

/// A whole row of `public.sensor` in COPY's bytes.
fn sensor_fields(sensor: i32, note: &str) -> Vec<Option<Vec<u8>>> {
    vec![
        Some(sensor.to_be_bytes().to_vec()),
        Some(86_400_000_000i64.to_be_bytes().to_vec()),
        Some(1.5f64.to_be_bytes().to_vec()),
        Some(note.as_bytes().to_vec()),
    ]
}

#[test]
fn flat_is_the_row() {
    let catalog = plain_catalog();
    let payload = r#"{"note":"a\tb","sensor":7,"ts":"2000-01-02T00:00:00Z","value":1.5}"#;
    let batch = decode(&flat(&catalog), &catalog, payload.as_bytes());
    let rows = copied(&batch, &catalog, SENSOR);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].fields, sensor_fields(7, "a\tb"));
    assert_eq!((rows[0].op, &rows[0].given, rows[0].row), (b'u', &None, 0));
}

#[test]
fn names_the_given_columns() {
    let catalog = plain_catalog();
    let payload = r#"{"value":null,"ts":"2000-01-02T00:00:00Z","sensor":"7"}"#;
    let batch = decode(&flat(&catalog), &catalog, payload.as_bytes());
    let rows = copied(&batch, &catalog, SENSOR);
    assert_eq!(rows[0].given, Some(vec![1, 2, 3]));
    assert_eq!(rows[0].fields[2..], [None, None]);

    let batch = decode(&rows_format(), &catalog, br#"{"rows":[{"table":"public.log","row":{}}]}"#);
    assert_eq!(copied(&batch, &catalog, "public.log")[0].given, Some(vec![]));
}

#[test]
fn null_payload_deletes_by_key() {
    let catalog = plain_catalog();
    let key = br#"{"ts":"2000-01-02T00:00:00Z","sensor":7}"#;
    let batch = decode_keyed(&flat(&catalog), &catalog, Some(key), None);
    let rows = copied(&batch, &catalog, SENSOR);
    assert_eq!((rows[0].op, &rows[0].given), (b'd', &None));
    assert_eq!(rows[0].fields[..2], sensor_fields(7, "")[..2]);
    assert_eq!(rows[0].fields[2..], [None, None]);

    let refused = |key| sqlstate(&decode_keyed(&flat(&catalog), &catalog, key, None));
    assert_eq!(refused(None), "22004");
    assert_eq!(refused(Some(b"7")), "22P02");
    assert_eq!(refused(Some(br#"{"sensor":7}"#)), "23502");
    assert_eq!(refused(Some(br#"{"sensor":7,"ts":null}"#)), "23502");
    assert_eq!(refused(Some(br#"{"sensor":7,"x":1}"#)), "42703");
}

#[test]
fn flat_refuses_with_the_reason() {
    let catalog = plain_catalog();
    for (payload, expected) in [
        (&b""[..], "22P02"),
        (b"{", "22P02"),
        (b"[]", "22P02"),
        (b"null", "22P02"),
        (b"{} {}", "22P02"),
        (b"\xff", "22021"),
        (b"{\"sensor\":1,\"ts\":\"2000-01-02T00:00:00Z\",\"note\":\"\xc3\"}", "22021"),
        (br#"{"sensor":1,"ts":"2000-01-02T00:00:00Z","note":"\u0000"}"#, "22021"),
        (br#"{"sensor":1,"ts":"2000-01-02T00:00:00Z","note":"\ud800"}"#, "22P02"),
        (br#"{"sensor":1,"ts":"2000-01-02T00:00:00Z","sensor":1}"#, "22030"),
        (br#"{"sensor":1,"ts":"2000-01-02T00:00:00Z","x":1}"#, "42703"),
        (br#"{"sensor":1}"#, "23502"),
        (br#"{"sensor":null,"ts":"2000-01-02T00:00:00Z"}"#, "23502"),
        (br#"{"sensor":2147483648,"ts":"2000-01-02T00:00:00Z"}"#, "22003"),
        (br#"{"sensor":"abc","ts":"2000-01-02T00:00:00Z"}"#, "22P02"),
        (br#"{"sensor":1,"ts":"2000-01-02T00:00:00"}"#, "22007"),
        (br#"{"sensor":1,"ts":"2000-01-02T00:00:00Z","value":NaN}"#, "22P02"),
        (br#"{"sensor":1,"ts":"2000-01-02T00:00:00Z","value":[1]}"#, "22P02"),
    ] {
        let batch = decode(&flat(&catalog), &catalog, payload);
        assert_eq!(sqlstate(&batch), expected, "{}", String::from_utf8_lossy(payload));
        assert_eq!(batch.row_count(), 0);
    }
    let batch = decode(&flat(&catalog), &catalog, br#"{"sensor":"abc","ts":"x"}"#);
    let (_, rejection) = batch.rejections().next().unwrap();
    assert_eq!(rejection.target.as_deref(), Some(SENSOR));
    assert_eq!(rejection.message, "column \"sensor\": invalid input for type integer: \"abc\"");
}

#[test]
fn rows_name_their_tables() {
    let catalog = plain_catalog();
    let payload = br#"{"rows":[
        {"table":"public.log","row":{"line":"x","data":{"b":[1, 2]}}},
        {"op":"delete","row":{"sensor":1,"ts":"2000-01-02T00:00:00Z","note":"no matter"},
         "table":"public.sensor"},
        {"table":"public.log","op":"upsert","row":{"data":null,"line":null}}
    ]}"#;
    let batch = decode(&rows_format(), &catalog, payload);
    assert_eq!(sqlstate(&batch), "");
    let logged = copied(&batch, &catalog, "public.log");
    assert_eq!(logged.iter().map(|row| row.row).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(logged[0].fields, [Some(b"x".to_vec()), Some(b"\x01{\"b\":[1, 2]}".to_vec())]);
    assert_eq!((&logged[1].fields, &logged[1].given), (&vec![None, None], &None));
    let deleted = copied(&batch, &catalog, SENSOR);
    assert_eq!((deleted[0].row, deleted[0].op), (1, b'd'));
    assert_eq!(deleted[0].fields[2..], [None, None]);
    assert_eq!(batch.row_count(), 3);
}

#[test]
fn rows_may_be_none() {
    let catalog = plain_catalog();
    let batch = decode(&rows_format(), &catalog, br#"{"rows":[]}"#);
    assert_eq!((sqlstate(&batch), batch.row_count(), batch.event_count()), ("", 0, 1));
}

#[test]
fn rows_refuse_with_the_reason() {
    let catalog = plain_catalog();
    for (payload, expected) in [
        ("{}", "22P02"),
        (r#"{"rows":null}"#, "22P02"),
        (r#"{"rows":{}}"#, "22P02"),
        (r#"{"rows":[],"rows":[]}"#, "22030"),
        (r#"{"rows":[],"more":1}"#, "22P02"),
        (r#"{"rows":[1]}"#, "22P02"),
        (r#"{"rows":[["public.log","upsert",{}]]}"#, "22P02"),
        (r#"{"rows":[{"table":"public.log"}]}"#, "22P02"),
        (r#"{"rows":[{"row":{}}]}"#, "22P02"),
        (r#"{"rows":[{"table":1,"row":{}}]}"#, "22P02"),
        (r#"{"rows":[{"table":"public.log","row":[]}]}"#, "22P02"),
        (r#"{"rows":[{"table":"public.log","row":{},"row":{}}]}"#, "22030"),
        (r#"{"rows":[{"table":"public.log","opp":"delete","row":{}}]}"#, "22P02"),
        (r#"{"rows":[{"table":"public.log","op":"merge","row":{}}]}"#, "22P02"),
        (r#"{"rows":[{"table":"public.log","op":null,"row":{}}]}"#, "22P02"),
        (r#"{"rows":[{"table":"public.nothing","row":{}}]}"#, "42P01"),
        (r#"{"rows":[{"table":"log","row":{}}]}"#, "42P01"),
        (r#"{"rows":[{"table":"public.log","op":"delete","row":{}}]}"#, "0A000"),
        (r#"{"rows":[{"table":"forebay.butler_ref","row":{}}]}"#, "0A000"),
    ] {
        let batch = decode(&rows_format(), &catalog, payload.as_bytes());
        assert_eq!(sqlstate(&batch), expected, "{payload}");
    }
    let batch = decode_keyed(&rows_format(), &catalog, Some(b"{}"), None);
    assert_eq!(sqlstate(&batch), "22004");
}

/// A column without encoder makes all of its target's rows text; values that have an encoder are
/// checked all the same.
#[test]
fn columns_without_encoder_make_rows_of_text() {
    let catalog = plain_catalog();
    let place = |rows: &str| {
        let payload = format!(r#"{{"rows":[{rows}]}}"#);
        let batch = decode(&rows_format(), &catalog, payload.as_bytes());
        let of_place = batch.rows_of(catalog.find("public.place").unwrap());
        let chunks: Vec<_> = batch.copy_chunks(&of_place, u64::MAX).collect();
        (sqlstate(&batch), String::from_utf8(chunks.concat()).unwrap())
    };
    let (sqlstate, text) = place(
        r#"{"table":"public.place","row":{"id":1,"at":"(1,\t2)\\"}},
           {"table":"public.place","row":{"id":"+2"}},
           {"table":"public.place","op":"delete","row":{"id":3,"at":"(1,2)"}}"#,
    );
    let (batch, event) = ("18446744073709551615", "         0");
    let expected = format!(
        "{batch}\t{event}\t0\tu\t\\N\t1\t(1,\\t2)\\\\\n\
         {batch}\t{event}\t1\tu\t{{1}}\t+2\t\\N\n\
         {batch}\t{event}\t2\td\t\\N\t3\t\\N\n"
    );
    assert_eq!((sqlstate, text), ("", expected));
    for (row, expected) in [
        (r#"{"id":"1x","at":null}"#, "22P02"),
        (r#"{"id":2147483648}"#, "22003"),
        (r#"{"id":1,"at":"\u0000"}"#, "22021"),
        (r#"{"id":1,"at":[1,2]}"#, "22P02"),
        (r#"{"at":"(1,2)"}"#, "23502"),
    ] {
        let row = format!(r#"{{"table":"public.place","row":{row}}}"#);
        assert_eq!(place(&row), (expected, String::new()), "{row}");
    }
}

#[test]
fn formats_need_their_targets() {
    let catalog = plain_catalog();
    let flat = |table: &str| Format::new(&FormatConfig::Flat { table: table.into() }, &catalog);
    assert!(matches!(flat("public.x"), Err(FormatError::UnknownTarget(_))));
    assert!(flat("public.place").is_ok());
    assert!(matches!(flat("forebay.butler_ref"), Err(FormatError::Unsupported { .. })));
    assert!(flat("public.sensor").is_ok_and(|format| format.resolve().is_none()));
}

/// Decodes bytes in every format; whatever comes of it must be a readable COPY, and nothing at all
/// for an event that was rejected.
fn survives(key: Option<&[u8]>, payload: Option<&[u8]>) {
    let (plain, repository) = (plain_catalog(), butler_catalog());
    let formats = [
        (flat(&plain), &plain),
        (rows_format(), &plain),
        (debezium(&plain), &plain),
        (butler(&repository), &repository),
    ];
    for (format, catalog) in formats {
        let topic = Topic::from("t");
        let mut batch = EventBatch::new();
        batch.push(&record(&topic, 0, 0, key, payload), &format, catalog);
        batch.seal();
        if batch.rejections().count() > 0 {
            assert_eq!((batch.row_count(), batch.targets().count()), (0, 0));
        }
        let mut rows = 0;
        for (index, count) in batch.targets() {
            let target = catalog.target(index);
            let read = copied(&batch, catalog, target.qualified_name());
            assert!(read.iter().all(|row| row.fields.len() == target.columns().len()));
            assert_eq!(read.len() as u64, count);
            rows += read.len();
        }
        assert_eq!(rows, batch.row_count());
    }
}

/// Events that every format has some reason to accept.
fn valid_events() -> Vec<Vec<u8>> {
    let mut events = vec![
        br#"{"sensor":1,"ts":"2025-01-01T00:00:00.5+02:00","value":-1.5e-3,"note":"\u00e9"}"#
            .to_vec(),
        br#"{"rows":[{"table":"public.log","row":{"line":"x","data":{"a":[1,"\ud83d\ude00"]}}},
            {"table":"public.sensor","op":"delete","row":{"sensor":1,"ts":"2025-01-01 00:00Z"}}]}"#
            .to_vec(),
        br#"{"schema":{"type":"struct","fields":[{"type":"struct","field":"after","fields":[
              {"type":"int32","field":"sensor"},
              {"type":"bytes","field":"value","name":"org.apache.kafka.connect.data.Decimal",
               "parameters":{"scale":"2"}},
              {"type":"string","field":"ts","name":"io.debezium.time.ZonedTimestamp"}]}]},
            "payload":{"op":"u","source":{"schema":"public","table":"sensor"},
              "before":{"sensor":2,"ts":"2025-01-01T00:00:00Z"},
              "after":{"sensor":1,"ts":"2025-01-01T00:00:00Z","value":"MDk="}}}"#
            .to_vec(),
    ];
    events.push(crate::testing::butler_event().into_bytes());
    events
}

#[test]
fn the_events_to_mutate_are_accepted() {
    let (plain, repository) = (plain_catalog(), butler_catalog());
    let formats = [
        (flat(&plain), &plain),
        (rows_format(), &plain),
        (debezium(&plain), &plain),
        (butler(&repository), &repository),
    ];
    for ((format, catalog), event) in formats.iter().zip(valid_events()) {
        let batch = decode(format, catalog, &event);
        assert_eq!(batch.rejections().next(), None);
        assert!(batch.row_count() > 0);
    }
}

#[test]
fn the_whole_sample_decodes() {
    let catalog = butler_catalog();
    let format = butler(&catalog);
    let topic = Topic::from("pp-output");
    let mut batch = EventBatch::new();
    let mut events = 0;
    for (offset, event) in sample().lines().enumerate() {
        let record = record(&topic, 0, offset as i64, None, Some(event.as_bytes()));
        batch.push(&record, &format, &catalog);
        events += 1;
    }
    batch.seal();
    assert_eq!(batch.rejections().next(), None);
    assert_eq!((events, batch.event_count()), (379, 379));
    let refs = copied(&batch, &catalog, "forebay.butler_ref");
    let mut ids: Vec<_> = refs.iter().map(|row| row.fields[0].clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((refs.len(), ids.len()), (15_120, 15_120));
    // Records repeat from event to event; their keys are as many as the manifest's rows.
    for (table, key, distinct) in [
        ("instrument", 1, 2),
        ("physical_filter", 2, 3),
        ("detector", 2, 378),
        ("day_obs", 2, 1),
        ("group", 2, 2),
        ("exposure", 2, 2),
        ("visit", 2, 2),
        ("visit_definition", 3, 2),
        ("visit_detector_region", 3, 378),
        ("visit_system", 2, 4),
        ("visit_system_membership", 3, 4),
    ] {
        let rows = copied(&batch, &catalog, &format!("public.{table}"));
        let mut keys: Vec<_> = rows.iter().map(|row| row.fields[..key].to_vec()).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), distinct, "{table}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(key: Option<Vec<u8>>, payload: Option<Vec<u8>>) {
        survives(key.as_deref(), payload.as_deref());
    }

    #[test]
    fn no_text_like_json_panics(
        text in r#"([\[{}\],:]|"(rows|table|row|type|sensor|datasets|refs|schema|payload|op|after|source|u)"|null|-?[0-9.e]{1,4}|"\\u[0d]{4}"| ){0,40}"#,
    ) {
        survives(Some(text.as_bytes()), Some(text.as_bytes()));
        survives(Some(text.as_bytes()), None);
    }

    /// Valid events with bytes changed, cut out, doubled and cut off.
    #[test]
    fn no_mutation_panics(
        which in 0usize..4,
        mutations in prop::collection::vec((0u8..4, any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut event = valid_events().swap_remove(which);
        for (kind, at, byte) in mutations {
            if event.is_empty() {
                break;
            }
            let at = at.index(event.len());
            match kind {
                0 => event[at] = byte,
                1 => drop(event.drain(at..(at + usize::from(byte % 40)).min(event.len()))),
                2 => {
                    let piece = event[at..(at + usize::from(byte)).min(event.len())].to_vec();
                    event.splice(at..at, piece);
                }
                _ => event.truncate(at),
            }
        }
        survives(None, Some(&event));
    }
}
