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
