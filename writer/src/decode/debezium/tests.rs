//! Events as Debezium's connector for PostgreSQL writes them.

use serde_json::{Value, json};
use tokio_postgres::types::Type;

use super::{DebeziumConfig, UNAVAILABLE_VALUE};
use crate::catalog::Catalog;
use crate::decode::{Format, FormatConfig, FormatError};
use crate::event_batch::EventBatch;
use crate::testing::{CopiedRow, copied, decode_keyed, sqlstate, target};

const CUSTOMERS: &str = "inventory.customers";

fn catalog() -> Catalog {
    let customers = &[
        ("id", Type::INT4),
        ("name", Type::TEXT),
        ("amount", Type::FLOAT8),
        ("born", Type::DATE),
        ("seen", Type::TIMESTAMP),
        ("zoned", Type::TIMESTAMPTZ),
        ("photo", Type::BYTEA),
        ("data", Type::JSONB),
    ];
    Catalog::new(vec![
        target(CUSTOMERS, &["id"], "update", customers),
        target("copy.customers", &["id"], "update", customers),
        target("copy.by_name", &["name"], "update", customers),
    ])
}

fn config() -> DebeziumConfig {
    let unavailable_value = UNAVAILABLE_VALUE.to_owned();
    DebeziumConfig { table: None, tables: Vec::new(), unavailable_value }
}

fn format(config: DebeziumConfig, catalog: &Catalog) -> Format {
    Format::new(&FormatConfig::Debezium(config), catalog).unwrap()
}

fn envelope(op: &str, before: Value, after: Value) -> Value {
    json!({
        "before": before,
        "after": after,
        "source": {
            "version": "3.1.0.Final", "connector": "postgresql", "name": "lab",
            "ts_ms": 1_700_000_000_000_i64, "snapshot": "false", "db": "shop",
            "sequence": "[\"24023119\",\"24023128\"]", "schema": "inventory",
            "table": "customers", "txId": 555, "lsn": 24_023_128, "xmin": null,
        },
        "transaction": null,
        "op": op,
        "ts_ms": 1_700_000_000_111_i64,
    })
}

/// The schema of an envelope whose rows have these fields.
fn schema(fields: Value) -> Value {
    let row = |name: &str| {
        json!({"type": "struct", "optional": true, "name": "lab.inventory.customers.Value",
               "field": name, "fields": fields})
    };
    json!({
        "type": "struct", "optional": false, "name": "lab.inventory.customers.Envelope",
        "version": 2,
        "fields": [
            row("before"),
            row("after"),
            {"type": "struct", "optional": false, "field": "source", "fields": [
                {"type": "string", "optional": false, "field": "version"}]},
            {"type": "string", "optional": false, "field": "op"},
        ],
    })
}

/// A field of a type that JSON has not.
fn field(name: &str, kind: &str, semantic: &str) -> Value {
    json!({"type": kind, "optional": true, "name": semantic, "version": 1, "field": name})
}

fn event(key: Option<Value>, value: &Value) -> (Catalog, EventBatch) {
    event_for(config(), key, value)
}

fn event_for(config: DebeziumConfig, key: Option<Value>, value: &Value) -> (Catalog, EventBatch) {
    let catalog = catalog();
    let key = key.map(|key| key.to_string().into_bytes());
    let value = value.to_string();
    let format = format(config, &catalog);
    let batch = decode_keyed(&format, &catalog, key.as_deref(), Some(value.as_bytes()));
    (catalog, batch)
}

/// The rows that an event's accepted change writes into the table of its own name.
fn rows(value: &Value) -> Vec<CopiedRow> {
    let (catalog, batch) = event(None, value);
    assert_eq!(batch.rejections().next(), None, "{value}");
    copied(&batch, &catalog, CUSTOMERS)
}

/// The message with which an event is refused, behind its SQLSTATE.
fn refusal(key: Option<Value>, value: &Value) -> String {
    let (_, batch) = event(key, value);
    let rejection = batch.rejections().next().map(|(_, rejection)| rejection);
    rejection.map_or_else(String::new, |one| format!("{} {one}", one.sqlstate.as_str()))
}

/// The one value of a row with the schema that describes it.
fn field_of(column: &str, of: Value, value: Value) -> Result<Option<Vec<u8>>, String> {
    let fields = json!([{"type": "int32", "optional": false, "field": "id"}, of]);
    let payload = envelope("c", Value::Null, json!({"id": 7, column: value}));
    let event = json!({"schema": schema(fields), "payload": payload});
    match refusal(None, &event).as_str() {
        "" => {}
        refusal => return Err(refusal.to_owned()),
    }
    let catalog = catalog();
    let (_, customers) = catalog.targets().next().unwrap();
    let position = customers.columns().iter().position(|one| one.name == column).unwrap();
    Ok(rows(&event)[0].fields[position].clone())
}

fn whole(id: i32) -> Value {
    json!({"id": id, "name": "Anne", "amount": 1.5, "born": null, "seen": null, "zoned": null,
           "photo": null, "data": "{\"a\": [1, 2]}"})
}

#[test]
fn creates_reads_and_updates_are_upserts() {
    for op in ["c", "r", "u"] {
        let payload = envelope(op, Value::Null, whole(7));
        for event in [payload.clone(), json!({"schema": null, "payload": payload})] {
            let rows = rows(&event);
            assert_eq!((rows.len(), rows[0].op, &rows[0].given), (1, b'u', &None), "{op}");
            assert_eq!(rows[0].fields[0], Some(7i32.to_be_bytes().to_vec()));
            assert_eq!(rows[0].fields[1], Some(b"Anne".to_vec()));
            assert_eq!(rows[0].fields[7], Some(b"\x01{\"a\": [1, 2]}".to_vec()));
        }
    }
}

#[test]
fn deletes_are_by_key() {
    let before = json!({"id": 7, "name": "", "amount": null});
    let rows = rows(&envelope("d", before, Value::Null));
    assert_eq!((rows.len(), rows[0].op), (1, b'd'));
    assert_eq!(rows[0].fields[0], Some(7i32.to_be_bytes().to_vec()));
    assert_eq!(rows[0].fields[1..], vec![None; 7]);
}

#[test]
fn tombstones_say_nothing() {
    let catalog = catalog();
    let format = format(config(), &catalog);
    for payload in [None, Some(&br#"{"schema":null,"payload":null}"#[..])] {
        let batch = decode_keyed(&format, &catalog, Some(br#"{"id":7}"#), payload);
        assert_eq!((sqlstate(&batch), batch.row_count(), batch.event_count()), ("", 0, 1));
    }
}

#[test]
fn unavailable_values_are_not_named() {
    let base64 = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==";
    for (column, value) in [
        ("name", json!(UNAVAILABLE_VALUE)),
        ("photo", json!(base64)),
        ("data", json!(UNAVAILABLE_VALUE)),
        ("data", json!([UNAVAILABLE_VALUE])),
        ("data", json!(UNAVAILABLE_VALUE.as_bytes())),
        ("data", json!({UNAVAILABLE_VALUE: UNAVAILABLE_VALUE})),
    ] {
        let mut after = whole(7);
        after[column] = value;
        let rows = rows(&envelope("u", Value::Null, after.clone()));
        let missing = if column == "name" {
            2
        } else if column == "photo" {
            7
        } else {
            8
        };
        let given: Vec<i16> = (1..=8).filter(|number| *number != missing).collect();
        assert_eq!(rows[0].given, Some(given), "{after}");
        let said = refusal(None, &envelope("c", Value::Null, after));
        assert!(
            said.starts_with(&format!("0A000 column \"{column}\": the source's log")),
            "{said}"
        );
    }
}

#[test]
fn an_update_of_the_target_s_key_is_split() {
    let event = envelope("u", whole(7), whole(8));
    let rows = rows(&event);
    let found: Vec<_> = rows.iter().map(|row| (row.row, row.op, row.fields[0].clone())).collect();
    let id = |id: i32| Some(id.to_be_bytes().to_vec());
    assert_eq!(found, [(0, b'd', id(7)), (1, b'u', id(8))]);
    // The log had only other columns of the row before.
    for before in [json!({"name": "x"}), json!({"id": null, "name": "x"}), whole(8)] {
        let event = envelope("u", before, whole(8));
        assert_eq!(self::rows(&event).len(), 1);
    }
    let mut after = whole(8);
    after["name"] = json!(UNAVAILABLE_VALUE);
    assert!(refusal(None, &envelope("u", whole(7), after)).starts_with("0A000"));
}

/// Of the row before, Debezium may know its own key alone, and fill up the rest.
#[test]
fn a_key_that_the_source_has_not_deletes_nothing() {
    let by_name = || DebeziumConfig { table: Some("copy.by_name".to_owned()), ..config() };
    let named = |keys: Value| json!({"schema": {"type": "struct"}, "payload": keys});
    for (key, expected) in [
        (Some(json!({"id": 7})), "0A000"),
        (Some(named(json!({"id": 7}))), "0A000"),
        (Some(named(json!({"name": "a"}))), ""),
        (Some(json!({"id": 7, "name": "a"})), ""),
        (Some(json!("Struct{id=7}")), ""),
        (None, ""),
    ] {
        let delete = envelope("d", json!({"id": 7, "name": ""}), Value::Null);
        let (_, batch) = event_for(by_name(), key.clone(), &delete);
        assert_eq!(sqlstate(&batch), expected, "{key:?}");
        let mut after = whole(7);
        after["name"] = json!("b");
        let (_, batch) = event_for(by_name(), key.clone(), &envelope("u", whole(7), after));
        assert_eq!(sqlstate(&batch), expected, "{key:?}");
    }
}

#[test]
fn the_schema_says_what_numbers_mean() {
    let date = |days: i32| Ok(Some(days.to_be_bytes().to_vec()));
    let time = |microseconds: i64| Ok(Some(microseconds.to_be_bytes().to_vec()));
    for semantic in ["io.debezium.time.Date", "org.apache.kafka.connect.data.Date"] {
        let of = || field("born", "int32", semantic);
        assert_eq!(field_of("born", of(), json!(10_957)), date(0));
        assert_eq!(field_of("born", of(), json!(-1)), date(-10_958));
        assert!(field_of("born", of(), json!(i32::MAX)).unwrap_err().starts_with("22008"));
        assert!(field_of("born", of(), json!("2000-01-01")).unwrap_err().starts_with("22P02"));
        assert_eq!(field_of("born", of(), Value::Null), Ok(None));
    }
    for (semantic, value, expected) in [
        ("io.debezium.time.Timestamp", 946_684_800_123_i64, 123_000),
        ("org.apache.kafka.connect.data.Timestamp", 946_684_799_999, -1000),
        ("io.debezium.time.MicroTimestamp", 946_684_800_123_456, 123_456),
        ("io.debezium.time.NanoTimestamp", 946_684_800_123_456_789, 123_457),
        ("io.debezium.time.MicroTimestamp", 9_223_372_036_825_200_000, i64::MAX),
        ("io.debezium.time.Timestamp", -9_223_372_036_832_400, i64::MIN),
    ] {
        let of = field("seen", "int64", semantic);
        assert_eq!(field_of("seen", of, json!(value)), time(expected), "{semantic} {value}");
    }
    let of = || field("seen", "int64", "io.debezium.time.Timestamp");
    assert!(field_of("seen", of(), json!(i64::MAX)).unwrap_err().starts_with("22008"));
    assert!(field_of("seen", of(), json!(1.5)).unwrap_err().starts_with("22P02"));
    // No place is known for a clock's time.
    let of = field("zoned", "int64", "io.debezium.time.Timestamp");
    assert!(field_of("zoned", of, json!(0)).unwrap_err().contains("needs an offset"));
    let of = || field("zoned", "string", "io.debezium.time.ZonedTimestamp");
    assert_eq!(field_of("zoned", of(), json!("2000-01-01T01:00:00+01:00")), time(0));
    assert_eq!(field_of("zoned", of(), json!("infinity")), time(i64::MAX));
    let of = field("born", "string", "io.debezium.time.IsoDate");
    assert_eq!(field_of("born", of, json!("2000-01-02Z")), date(1));
    let of = field("seen", "string", "io.debezium.time.IsoTimestamp");
    assert_eq!(field_of("seen", of, json!("2000-01-01T00:00:01Z")), time(1_000_000));
    // As text, where the literals show themselves.
    for (kind, semantic, value, expected) in [
        ("int32", "io.debezium.time.Time", json!(86_399_999), "23:59:59.999000000"),
        ("int64", "io.debezium.time.MicroTime", json!(86_400_000_000_i64), "24:00:00"),
        ("int64", "io.debezium.time.NanoTime", json!(1), "00:00:00.000000001"),
        ("string", "io.debezium.time.ZonedTime", json!("13:51:30.1Z"), "13:51:30.1Z"),
        ("string", "io.debezium.time.Interval", json!("P1Y2M3DT4H5M6.7S"), "P1Y2M3DT4H5M6.7S"),
        ("string", "io.debezium.data.Enum", json!("a"), "a"),
        ("int32", "io.debezium.time.Year", json!(1999), "1999"),
    ] {
        let found = field_of("name", field("name", kind, semantic), value).unwrap().unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), expected);
    }
    for count in [-1, 86_400_001] {
        let of = field("name", "int32", "io.debezium.time.Time");
        assert!(field_of("name", of, json!(count)).unwrap_err().starts_with("22008"));
    }
}

#[test]
fn the_schema_says_what_bytes_mean() {
    let bytes = json!({"type": "bytes", "optional": true, "field": "photo"});
    assert_eq!(field_of("photo", bytes.clone(), json!("/wA=")), Ok(Some(vec![0xff, 0])));
    assert!(field_of("photo", bytes.clone(), json!("!")).unwrap_err().contains("not base64"));
    assert_eq!(field_of("photo", bytes, Value::Null), Ok(None));

    let mut decimal = field("amount", "bytes", "org.apache.kafka.connect.data.Decimal");
    decimal["parameters"] = json!({"scale": "2", "connect.decimal.precision": "5"});
    let float = |value: f64| Ok(Some(value.to_be_bytes().to_vec()));
    assert_eq!(field_of("amount", decimal.clone(), json!("MDk=")), float(123.45));
    assert_eq!(field_of("amount", decimal.clone(), json!("z8c=")), float(-123.45));
    assert_eq!(field_of("amount", decimal, json!(123.45)), float(123.45));
    let variable = field("amount", "struct", "io.debezium.data.VariableScaleDecimal");
    let value = json!({"scale": 3, "value": "MDk="});
    assert_eq!(field_of("amount", variable.clone(), value), float(12.345));
    assert!(field_of("amount", variable, json!({"scale": 3})).is_err());
}

#[test]
fn what_would_lose_something_is_refused() {
    for (kind, semantic, value) in [
        ("bytes", "io.debezium.data.Bits", json!("Bg==")),
        ("struct", "io.debezium.data.geometry.Point", json!({"x": 1.0, "y": 2.0})),
        ("int64", "io.debezium.time.MicroDuration", json!(1)),
        ("bytes", "com.example.Unheard", json!("Bg==")),
    ] {
        let said = field_of("name", field("name", kind, semantic), value).unwrap_err();
        assert!(said.starts_with("0A000 column \"name\": values of "), "{said}");
        assert!(said.contains(semantic), "{said}");
    }
}

#[test]
fn without_schema_a_count_is_no_time() {
    let created =
        |column: &str, value: Value| envelope("c", Value::Null, json!({"id": 7, column: value}));
    for column in ["born", "seen", "zoned"] {
        let said = refusal(None, &created(column, json!(20_240_101)));
        assert!(said.contains("isostring"), "{said}");
    }
    assert_eq!(refusal(None, &created("born", json!("2000-01-02Z"))), "");
    assert_eq!(refusal(None, &created("seen", json!("2000-01-02T00:00:00Z"))), "");
    assert_eq!(refusal(None, &created("amount", json!("12.50"))), "");
    assert!(refusal(None, &created("photo", json!("/wA="))).starts_with("22P02"));
}

#[test]
fn documents_are_strings() {
    let created = |value: Value| envelope("c", Value::Null, json!({"id": 7, "data": value}));
    for (value, expected) in [
        (json!("[1, null]"), "\x01[1, null]"),
        (json!("\"a\""), "\x01\"a\""),
        (json!({"a": 1}), "\x01{\"a\":1}"),
    ] {
        assert_eq!(rows(&created(value))[0].fields[7], Some(expected.as_bytes().to_vec()));
    }
    assert!(refusal(None, &created(json!("{a}"))).starts_with("22P02"));
    assert!(refusal(None, &created(json!("1 2"))).starts_with("22P02"));
}

#[test]
fn tables_go_where_they_are_sent() {
    let goes_to = |config: DebeziumConfig, source: Value| {
        let mut event = envelope("c", Value::Null, whole(7));
        event["source"] = source;
        let (catalog, batch) = event_for(config, None, &event);
        let index = batch.targets().next().map(|(index, _)| index);
        index.map_or_else(
            || sqlstate(&batch).to_owned(),
            |index| catalog.target(index).qualified_name().to_owned(),
        )
    };
    let by = |rules: &[&str]| {
        let tables = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        DebeziumConfig { tables, ..config() }
    };
    let source = |schema: &str, table: &str| json!({"schema": schema, "table": table});
    assert_eq!(goes_to(by(&[]), source("inventory", "customers")), CUSTOMERS);
    assert_eq!(goes_to(by(&[]), source("inventory", "orders")), "42P01");
    assert_eq!(goes_to(by(&[]), json!({"db": "inventory", "table": "customers"})), CUSTOMERS);
    let fixed = DebeziumConfig { table: Some("copy.customers".to_owned()), ..config() };
    assert_eq!(goes_to(fixed, source("a", "b")), "copy.customers");
    let rules =
        ["inventory.customers -> copy.by_name", "inventory.* -> copy.*", "x.y -> copy.customers"];
    assert_eq!(goes_to(by(&rules), source("inventory", "customers")), "copy.by_name");
    assert_eq!(goes_to(by(&rules[1..]), source("inventory", "customers")), "copy.customers");
    assert_eq!(goes_to(by(&rules), source("x", "y")), "copy.customers");
    assert_eq!(goes_to(by(&rules), source("copy", "customers")), "copy.customers");

    let unknown = |config: DebeziumConfig| {
        Format::new(&FormatConfig::Debezium(config), &catalog()).unwrap_err()
    };
    let missing = FormatError::UnknownTarget("copy.none".to_owned());
    assert_eq!(unknown(by(&["a.b -> copy.none"])), missing);
    assert_eq!(
        unknown(DebeziumConfig { table: Some("copy.none".to_owned()), ..config() }),
        missing
    );
}

#[test]
fn refuses_with_the_reason() {
    let mut no_source = envelope("c", Value::Null, whole(7));
    no_source.as_object_mut().unwrap().remove("source");
    let mut no_table = envelope("c", Value::Null, whole(7));
    no_table["source"]["table"] = Value::Null;
    for (event, expected) in [
        (envelope("t", Value::Null, Value::Null), "0A000 inventory.customers was truncated"),
        (envelope("m", Value::Null, Value::Null), "0A000 this is a message of"),
        (envelope("x", Value::Null, Value::Null), "22P02 op is \"x\""),
        (envelope("c", whole(7), Value::Null), "22004 "),
        (envelope("u", whole(7), Value::Null), "22004 "),
        (envelope("d", Value::Null, whole(7)), "22004 "),
        (envelope("d", json!({"name": "x"}), Value::Null), "23502 "),
        (envelope("c", Value::Null, json!({"id": 7, "other": 1})), "42703 "),
        (envelope("c", Value::Null, json!([])), "22P02 "),
        (whole(7), "22P02 not a change event of Debezium"),
        (json!({"schema": {}, "payload": {"id": 7}}), "22P02 not a change event of Debezium"),
        (json!({"schema": {}, "payload": []}), "22P02 payload: "),
        (json!({"schema": {}, "payload": envelope("c", Value::Null, whole(7))}), "22P02 schema: "),
        (no_source, "22P02 key \"source\" is missing"),
        (no_table, "22P02 source: "),
    ] {
        let said = refusal(None, &event);
        assert!(said.starts_with(expected), "{event}: {said}");
    }
}

/// Schemas that are cut short, or have other types in their places, are refused, and nothing worse.
#[test]
fn no_schema_panics() {
    let fields = json!([
        {"type": "int32", "field": "id"},
        {"type": "array", "field": "name", "items": {"type": "array", "items": {"type": "bytes"}}},
        {"type": "bytes", "field": "amount", "name": "org.apache.kafka.connect.data.Decimal",
         "parameters": {"scale": "-2147483648"}},
    ]);
    let text = schema(fields).to_string();
    let payload = envelope("c", Value::Null, json!({"id": 7, "name": [[""]], "amount": "MDk="}));
    for (at, _) in text.match_indices(['"', '{', '[', ':']) {
        for replacement in ["null", "1", "[]", "{}", "\"x\"", ""] {
            let schema = format!("{}{replacement}{}", &text[..at], &text[at + 1..]);
            let event = format!("{{\"schema\":{schema},\"payload\":{payload}}}");
            let catalog = catalog();
            let format = format(config(), &catalog);
            decode_keyed(&format, &catalog, None, Some(event.as_bytes()));
        }
    }
}

#[test]
fn reads_a_schema_once() {
    use super::schema_cache::SchemaCache;
    use crate::json::Json;

    let cache = SchemaCache::default();
    let text =
        |name: &str| schema(json!([field(name, "int32", "io.debezium.time.Date")])).to_string();
    let get = |text: &str| cache.get(Json::read(text).unwrap()).unwrap();
    let first = get(&text("a"));
    assert!(first.meaning("a").is_some());
    assert!(std::sync::Arc::ptr_eq(&first, &get(&text("a"))));
    for number in 0..100 {
        let name = format!("column{number}");
        assert!(get(&text(&name)).meaning(&name).is_some());
    }
    assert_eq!(get(&text("a")), first);
}
