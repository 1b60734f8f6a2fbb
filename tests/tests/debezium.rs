//! The format `debezium`, from change events to the table.

use anyhow::Result;
use forebay_tests::{Database, Delivery, Message, Producer, Stack, Topic, Writer, WriterConfig};
use serde_json::{Value, json};

const SOURCE: &str = "changes";

/// A message as the connector sends it: key and value.
type Event = (Value, Option<Value>);

struct Stream {
    stack: Stack,
    database: Database,
    topic: Topic,
    producer: Producer,
}

impl Stream {
    async fn create(prefix: &str, sql: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        database.primary().batch_execute(sql).await?;
        let topic = Topic::create(stack.kafka(), prefix, 1).await?;
        let producer = Producer::new(stack.kafka())?;
        Ok(Self { stack, database, topic, producer })
    }

    fn config(&self) -> WriterConfig {
        WriterConfig::new(&self.stack, &self.database, SOURCE, &self.topic)
            .set("format.kind", "debezium")
            .set("rejections.max_share", 1.0)
    }

    async fn send(&self, events: &[Event]) -> Result<Vec<Delivery>> {
        let text = |value: &Value| value.to_string().into_bytes();
        let events: Vec<_> =
            events.iter().map(|(key, value)| (text(key), value.as_ref().map(text))).collect();
        let messages = events.iter().map(|(key, value)| Message {
            key: Some(key),
            payload: value.as_deref(),
            ..Message::default()
        });
        let sent = self.producer.send_all(&self.topic, messages).await?;
        self.database.wait_until_all_merged(SOURCE, &self.topic, &sent).await?;
        Ok(sent)
    }

    async fn rows(&self, table: &str) -> Result<Vec<String>> {
        let sql = format!("select row_::text from {table} as row_ order by 1");
        let rows = self.database.primary().query(&sql, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// A change without its schema.
fn payload(table: &str, op: &str, before: Value, after: Value) -> Value {
    json!({
        "before": before,
        "after": after,
        "source": {
            "version": "3.1.0.Final", "connector": "postgresql", "name": "lab",
            "ts_ms": 1_700_000_000_000_i64, "snapshot": "false", "db": "shop",
            "sequence": "[\"24023119\",\"24023128\"]", "ts_us": 1_700_000_000_000_000_i64,
            "schema": "inventory", "table": table, "txId": 555, "lsn": 24_023_128, "xmin": null,
        },
        "transaction": null,
        "op": op,
        "ts_ms": 1_700_000_000_111_i64,
        "ts_us": 1_700_000_000_111_222_i64,
    })
}

/// A change with its schema; these are the fields of the row.
fn with_schema(fields: &Value, payload: Value) -> Value {
    let row = |name: &str| {
        json!({"type": "struct", "optional": true, "name": "lab.inventory.customers.Value",
               "field": name, "fields": fields})
    };
    json!({
        "schema": {
            "type": "struct", "optional": false, "name": "lab.inventory.customers.Envelope",
            "fields": [
                row("before"), row("after"),
                {"type": "string", "optional": false, "field": "op"},
            ],
        },
        "payload": payload,
    })
}

fn key_with_schema(id: i32) -> Value {
    json!({
        "schema": {
            "type": "struct", "optional": false, "name": "lab.inventory.customers.Key",
            "fields": [{"type": "int32", "optional": false, "field": "id"}],
        },
        "payload": {"id": id},
    })
}

const CUSTOMERS: &str = "\
create schema inventory;
create table inventory.customers (
    id int4 primary key, name text, big text, photo bytea, born date, seen timestamp,
    zoned timestamptz, amount float8, data jsonb);
select forebay.add_target('inventory.customers');
";

/// A row's life: snapshot, updates that leave a large value alone, a new key, the end.
#[tokio::test]
async fn a_row_follows_its_source() -> Result<()> {
    let stream = Stream::create("changes", CUSTOMERS).await?;
    let mut writer = Writer::start(&stream.stack, stream.config())?;
    let fields = json!([
        {"type": "int32", "optional": false, "field": "id"},
        {"type": "string", "optional": true, "field": "name"},
        {"type": "string", "optional": true, "field": "big"},
        {"type": "bytes", "optional": true, "field": "photo"},
        {"type": "int32", "optional": true, "name": "io.debezium.time.Date", "field": "born"},
        {"type": "int64", "optional": true, "name": "io.debezium.time.MicroTimestamp",
         "field": "seen"},
        {"type": "string", "optional": true, "name": "io.debezium.time.ZonedTimestamp",
         "field": "zoned"},
        {"type": "bytes", "optional": true, "name": "org.apache.kafka.connect.data.Decimal",
         "parameters": {"scale": "2", "connect.decimal.precision": "9"}, "field": "amount"},
        {"type": "string", "optional": true, "name": "io.debezium.data.Json", "field": "data"},
    ]);
    let change = |op: &str, before: Value, after: Value| {
        Some(with_schema(&fields, payload("customers", op, before, after)))
    };
    let row = json!({
        "id": 1, "name": "Anne", "big": "x".repeat(10), "photo": "/wA=", "born": 19_723,
        "seen": 1_709_210_096_789_012_i64, "zoned": "2024-02-29T12:34:56.789Z", "amount": "MDk=",
        "data": "{\"a\": [1, \"é\"]}",
    });
    stream.send(&[(key_with_schema(1), change("r", Value::Null, row.clone()))]).await?;
    let stored = r#"xxxxxxxxxx,"\\xff00",2024-01-01,"2024-02-29 12:34:56.789012","2024-02-29 12:34:56.789+00",123.45,"{""a"": [1, ""é""]}""#;
    assert_eq!(stream.rows("inventory.customers").await?, [format!("(1,Anne,{stored})")]);

    let mut unchanged = row.clone();
    unchanged["name"] = json!("Anne Marie");
    unchanged["big"] = json!("__debezium_unavailable_value");
    unchanged["photo"] = json!("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==");
    unchanged["data"] = json!("__debezium_unavailable_value");
    stream.send(&[(key_with_schema(1), change("u", Value::Null, unchanged))]).await?;
    let expected = format!("(1,\"Anne Marie\",{stored})");
    assert_eq!(stream.rows("inventory.customers").await?, [expected]);

    // A change of the key, as the connector sends it.
    let old = json!({"id": 1, "name": null, "big": null, "photo": null, "born": null, "seen": null,
                     "zoned": null, "amount": null, "data": null});
    let mut moved = row;
    moved["id"] = json!(2);
    stream
        .send(&[
            (key_with_schema(1), change("d", old.clone(), Value::Null)),
            (key_with_schema(1), None),
            (key_with_schema(2), change("c", Value::Null, moved)),
        ])
        .await?;
    assert_eq!(stream.rows("inventory.customers").await?, [format!("(2,Anne,{stored})")]);

    let mut old = old;
    old["id"] = json!(2);
    let end = [(key_with_schema(2), change("d", old, Value::Null)), (key_with_schema(2), None)];
    stream.send(&end).await?;
    assert_eq!(stream.rows("inventory.customers").await?, [] as [&str; 0]);
    assert_eq!(stream.database.dead_letters(SOURCE).await?.len(), 0);
    writer.stop().await
}

/// Types that JSON has not, each as the connector encodes it by default.
const ENCODED: &[(&str, &str, &str, &str)] = &[
    ("amount", "numeric(30, 2)", "bytes", "org.apache.kafka.connect.data.Decimal"),
    ("free", "numeric", "struct", "io.debezium.data.VariableScaleDecimal"),
    ("clock", "time", "int64", "io.debezium.time.MicroTime"),
    ("midnight", "time", "int32", "io.debezium.time.Time"),
    ("zoned", "timetz", "string", "io.debezium.time.ZonedTime"),
    ("name", "uuid", "string", "io.debezium.data.Uuid"),
    ("mood", "mood", "string", "io.debezium.data.Enum"),
    ("born", "date", "string", "io.debezium.time.IsoDate"),
    ("seen", "timestamp", "int64", "io.debezium.time.MicroTimestamp"),
    ("document", "document", "string", "io.debezium.data.Json"),
];

/// The two are copied in different ways: the writer has an encoder for each type but intervals.
#[tokio::test]
async fn what_the_schema_says_is_what_is_stored() -> Result<()> {
    let types = "create type mood as enum ('good', 'bad'); \
                 create domain document as jsonb check (value <> '0'::jsonb)";
    let mut definitions = "id int4 primary key".to_owned();
    let mut fields = vec![json!({"type": "int32", "optional": false, "field": "id"})];
    for (name, column, kind, semantic) in ENCODED {
        definitions.push_str(&format!(", {name} {column}"));
        fields.push(json!({"type": kind, "optional": true, "name": semantic, "field": name,
                           "parameters": {"scale": "2", "allowed": "good,bad"}}));
    }
    definitions.push_str(", photo bytea, days date[], numbers int4[], documents jsonb[]");
    fields.push(json!({"type": "bytes", "optional": true, "field": "photo"}));
    for (name, items) in [
        ("days", json!({"type": "int32", "name": "io.debezium.time.Date"})),
        ("numbers", json!({"type": "int32"})),
        ("documents", json!({"type": "string", "name": "io.debezium.data.Json"})),
    ] {
        fields.push(json!({"type": "array", "optional": true, "field": name, "items": items}));
    }
    fields.push(json!({"type": "string", "optional": true, "field": "span",
                       "name": "io.debezium.time.Interval"}));
    let sql = format!(
        "create schema inventory; {types}; \
         create table inventory.customers ({definitions}); \
         create table inventory.spans ({definitions}, span interval); \
         select forebay.add_target('inventory.customers'); \
         select forebay.add_target('inventory.spans')"
    );
    let stream = Stream::create("encodings", &sql).await?;
    let mut writer = Writer::start(&stream.stack, stream.config())?;
    let mut row = json!({
        "id": 1, "amount": "z8c=", "free": {"scale": 3, "value": "MDk="},
        "clock": 86_399_999_999_i64, "midnight": 86_400_000, "zoned": "13:51:30.5Z",
        "name": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "mood": "bad", "born": "2024-02-29Z",
        "seen": 1_709_210_096_789_012_i64, "document": "{\"b\": \"\\u00e9\"}", "photo": "/wA=",
        "days": [0, null, 19_723], "numbers": [1, null],
        "documents": ["{\"a\": 1}", null, "\"b\""],
    });
    let change = |table: &str, row: &Value| {
        let payload = payload(table, "c", Value::Null, row.clone());
        (key_with_schema(1), Some(with_schema(&json!(fields), payload)))
    };
    let customer = change("customers", &row);
    row["span"] = json!("P1Y2M3DT4H5M6.7S");
    stream.send(&[customer, change("spans", &row)]).await?;
    let letters = stream.database.dead_letters(SOURCE).await?;
    assert!(letters.is_empty(), "{letters:?}");
    let expected = "1, -123.45::numeric(30, 2), 12.345::numeric, time '23:59:59.999999', \
        time '24:00', timetz '13:51:30.5+00', uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', \
        'bad'::mood, date '2024-02-29', timestamp '2024-02-29 12:34:56.789012', \
        '{\"b\": \"é\"}'::jsonb, '\\xff00'::bytea, '{1970-01-01,null,2024-01-01}'::date[], \
        '{1,null}'::int4[], array['{\"a\": 1}', null, '\"b\"']::jsonb[]";
    for (table, more) in [
        ("inventory.customers", ""),
        ("inventory.spans", ", interval '1 year 2 months 3 days 04:05:06.7'"),
    ] {
        let sql = format!("select row({expected}{more})::text");
        let expected: String = stream.database.primary().query_one(&sql, &[]).await?.get(0);
        assert_eq!(stream.rows(table).await?, [expected], "{table}");
    }
    writer.stop().await
}

/// Several tables in one topic, without schemas, some of them sent elsewhere.
#[tokio::test]
async fn tables_go_where_they_are_sent() -> Result<()> {
    let sql = "create schema inventory; create schema copy;
        create table inventory.orders (id int4 primary key, note text, at timestamp);
        create table copy.\"Customers\" (id int4 primary key, name text);
        select forebay.add_target('inventory.orders');
        select forebay.add_target('copy.\"Customers\"');";
    let stream = Stream::create("tables", sql).await?;
    let config = stream
        .config()
        .set("format.tables", vec!["inventory.customers -> copy.Customers".to_owned()]);
    let mut writer = Writer::start(&stream.stack, config)?;
    let created = |table: &str, row: Value| {
        (json!({"id": row["id"]}), Some(payload(table, "c", Value::Null, row)))
    };
    let truncated = payload("orders", "t", Value::Null, Value::Null);
    let sent = stream
        .send(&[
            created("customers", json!({"id": 1, "name": "Anne"})),
            created("orders", json!({"id": 1, "note": "a", "at": "2024-02-29T12:00:00Z"})),
            created("orders", json!({"id": 2, "note": "a", "at": 1_709_208_000_000_i64})),
            created("unheard", json!({"id": 1})),
            (json!({"id": 1}), Some(truncated)),
        ])
        .await?;
    assert_eq!(stream.rows("copy.\"Customers\"").await?, ["(1,Anne)"]);
    assert_eq!(stream.rows("inventory.orders").await?, ["(1,a,\"2024-02-29 12:00:00\")"]);
    let letters = stream.database.dead_letters(SOURCE).await?;
    let refused: Vec<_> =
        letters.iter().map(|letter| (letter.event, letter.sqlstate.as_str())).collect();
    assert_eq!(refused, [(sent[2], "22P02"), (sent[3], "42P01"), (sent[4], "0A000")]);
    assert!(letters[2].message.contains("truncated"), "{letters:?}");
    writer.stop().await
}
