//! One bad event never harms the others: it is found, kept whole with its reason, and passed, in
//! the same transaction as its neighbours' data.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Gate, Message, Producer, Stack, Topic, Writer, WriterConfig, producer::Delivery, wait,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

const SOURCE: &str = "readings";

/// Each row and each dead letter says which transaction wrote it: `xmin` would name the savepoint.
const TABLES: &str = "\
    create table sensor (id int4 primary key);
    insert into sensor values (1);
    create table reading (
        id int4 primary key,
        sensor int4 not null references sensor,
        name text unique,
        value float8 not null check (value >= 0),
        note text,
        txid int8 not null default pg_current_xact_id()::text::int8
    );
    insert into reading values (0, 1, 'taken', 0);
    select forebay.add_target('sensor'), forebay.add_target('reading');
    alter table forebay.dead_letter
        add column txid int8 not null default pg_current_xact_id()::text::int8";

/// A kind of bad event, for the format `flat` into `reading`.
struct Poison {
    name: &'static str,
    /// `{id}` becomes a new id.
    payload: Option<&'static [u8]>,
    sqlstate: &'static str,
    constraint: Option<&'static str>,
}

const POISONS: &[Poison] = &[
    poison("malformed", br#"{"id": {id}, "sensor": 1, "value""#, "22P02"),
    poison("empty", b"", "22P02"),
    poison("not an object", b"[1, 2]", "22P02"),
    poison(
        "not UTF-8",
        b"{\"id\": {id}, \"sensor\": 1, \"value\": 1, \"note\": \"\xff\"}",
        "22021",
    ),
    poison("NUL", br#"{"id": {id}, "sensor": 1, "value": 1, "note": "a\u0000b"}"#, "22021"),
    poison("unknown column", br#"{"id": {id}, "sensor": 1, "value": 1, "hue": 1}"#, "42703"),
    poison("out of range", br#"{"id": 3000000000, "sensor": 1, "value": 1}"#, "22003"),
    poison("no key", br#"{"sensor": 1, "value": 1}"#, "23502"),
    poison("not null", br#"{"id": {id}, "sensor": 1, "value": null}"#, "23502"),
    Poison {
        name: "foreign key",
        payload: Some(br#"{"id": {id}, "sensor": 99, "value": 1}"#),
        sqlstate: "23503",
        constraint: Some("reading_sensor_fkey"),
    },
    Poison {
        name: "check",
        payload: Some(br#"{"id": {id}, "sensor": 1, "value": -1}"#),
        sqlstate: "23514",
        constraint: Some("reading_value_check"),
    },
    Poison {
        name: "unique",
        payload: Some(br#"{"id": {id}, "sensor": 1, "value": 1, "name": "taken"}"#),
        sqlstate: "23505",
        constraint: Some("reading_name_key"),
    },
    Poison { name: "neither key nor value", payload: None, sqlstate: "22004", constraint: None },
];

const fn poison(name: &'static str, payload: &'static [u8], sqlstate: &'static str) -> Poison {
    Poison { name, payload: Some(payload), sqlstate, constraint: None }
}

impl Poison {
    fn payload(&self, id: i32) -> Option<Vec<u8>> {
        let payload = self.payload?;
        let Some(place) = payload.windows(4).position(|part| part == b"{id}") else {
            return Some(payload.to_vec());
        };
        let id = id.to_string();
        Some([&payload[..place], id.as_bytes(), &payload[place + 4..]].concat())
    }
}

struct Readings {
    stack: Stack,
    database: Database,
    topic: Topic,
    producer: Producer,
    last_id: i32,
}

impl Readings {
    async fn create(prefix: &str, partitions: i32) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        database.primary().batch_execute(TABLES).await?;
        let topic = Topic::create(stack.kafka(), prefix, partitions).await?;
        let producer = Producer::new(stack.kafka())?;
        Ok(Self { stack, database, topic, producer, last_id: 0 })
    }

    fn config(&self) -> WriterConfig {
        WriterConfig::new(&self.stack, &self.database, SOURCE, &self.topic).flat("public.reading")
    }

    fn next_id(&mut self) -> i32 {
        self.last_id += 1;
        self.last_id
    }

    /// The ids of the rows that events made, with the transaction that wrote each.
    async fn rows(&self) -> Result<Vec<(i32, i64)>> {
        let sql = "select id, txid from reading where id > 0 order by id";
        let rows = self.database.primary().query(sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn wait_until_merged(&self, event: Delivery, writer: &Writer) -> Result<()> {
        let merged = self.database.wait_until_merged(SOURCE, &self.topic, event).await;
        merged.with_context(|| writer.output().tail())
    }
}

fn good(id: i32) -> Vec<u8> {
    format!(r#"{{"id": {id}, "sensor": 1, "value": {id}.5, "name": "reading {id}"}}"#).into_bytes()
}

/// Waits until the writer has so many bytes in its hands.
async fn wait_until_buffered(writer: &Writer, bytes: f64) -> Result<()> {
    let name = "forebay_buffered_bytes ";
    let buffered = wait::until("the batch to be read", || async move {
        let metrics = writer.get("/metrics").await?.body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).context(name)?;
        Ok((line.trim().parse::<f64>()? >= bytes).then_some(()))
    });
    buffered.await.with_context(|| writer.output().tail())
}

/// The last event of a batch is so large that its arrival shows; the ones before it are read then.
const LARGE: usize = 100_000;

/// Every kind of bad event, in every position of a batch.
#[tokio::test]
async fn a_bad_event_is_a_dead_letter_in_the_transaction_of_its_neighbours() -> Result<()> {
    const EVENTS: usize = 4;
    let mut readings = Readings::create("poison", 1).await?;
    let mut writer = Writer::start(&readings.stack, readings.config())?;
    writer.wait_until_ready().await?;
    let large = vec![b'x'; LARGE];
    let key: &[u8] = b"key\xff\x00";
    for poison in POISONS {
        for position in 0..EVENTS {
            let what = format!("{} in position {position}", poison.name);
            // One event keeps the writer busy while the batch gathers.
            let gate = Gate::before_stage(&readings.database, "reading").await?;
            let plug = readings.next_id();
            readings.producer.send(&readings.topic, 0, None, Some(&good(plug))).await?;
            gate.wait_until_held().await.with_context(|| what.clone())?;
            let mut neighbours = Vec::new();
            let mut sent = Vec::new();
            for place in 0..EVENTS {
                let id = readings.next_id();
                let is_poison = place == position;
                let payload = if is_poison { poison.payload(id) } else { Some(good(id)) };
                if !is_poison {
                    neighbours.push(id);
                }
                let size = if place == EVENTS - 1 { LARGE } else { 3 };
                let headers: [(&str, Option<&[u8]>); 3] =
                    [("h", Some(b"\x00\xfe")), ("h", None), ("size", Some(&large[..size]))];
                let message = Message {
                    partition: 0,
                    key: (poison.payload.is_some() || !is_poison).then_some(key),
                    payload: payload.as_deref(),
                    headers: &headers,
                    timestamp: Some(1_700_000_000_123),
                };
                let delivery = readings.producer.send_message(&readings.topic, message).await?;
                sent.push((delivery, payload, size));
            }
            wait_until_buffered(&writer, LARGE as f64).await.with_context(|| what.clone())?;
            gate.open().await?;
            let (last, ..) = sent[EVENTS - 1];
            readings.wait_until_merged(last, &writer).await.with_context(|| what.clone())?;

            let (delivery, payload, size) = &sent[position];
            let sql = "select key, headers, payload, sqlstate, target, \"constraint\", attempts, \
                       event_timestamp = to_timestamp(1700000000.123), txid, message, \
                       (select count(*) from forebay.dead_letter where event_offset >= $3) \
                       from forebay.dead_letter where source = 'readings' and topic = $2 \
                       and partition = 0 and event_offset = $1";
            let found = readings.database.primary();
            let first = sent[0].0.offset;
            let parameters: [&(dyn ToSql + Sync); 3] =
                [&delivery.offset, &readings.topic.name(), &first];
            let found = found.query_opt(sql, &parameters).await?;
            let letter = found.with_context(|| format!("{what}: no dead letter"))?;
            let message: &str = letter.get("message");
            let what = format!("{what}: {message}");
            let key = poison.payload.is_some().then_some(key);
            assert_eq!(letter.get::<_, Option<&[u8]>>("key"), key, "{what}");
            assert_eq!(letter.get::<_, Option<&[u8]>>("payload"), payload.as_deref(), "{what}");
            let size = match *size {
                3 => json!("eHh4"),
                _ => Value::String(["eHh4"; LARGE / 3].concat() + "eA=="),
            };
            let headers = json!([{"key": "h", "value": "AP4="}, {"key": "h", "value": null},
                {"key": "size", "value": size}]);
            ensure!(letter.get::<_, Value>("headers") == headers, "{what}: other headers");
            assert_eq!(letter.get::<_, &str>("sqlstate"), poison.sqlstate, "{what}");
            assert_eq!(letter.get::<_, Option<&str>>("target"), Some("public.reading"), "{what}");
            assert_eq!(letter.get::<_, Option<&str>>("constraint"), poison.constraint, "{what}");
            assert_eq!(letter.get::<_, i32>("attempts"), 1, "{what}");
            assert_eq!(letter.get::<_, Option<bool>>(7), Some(true), "{what}: its timestamp");
            assert_eq!(letter.get::<_, i64>(10), 1, "{what}: dead letters of the batch");

            let txid: i64 = letter.get("txid");
            let mut rows = readings.rows().await?;
            let plug_txid = rows.iter().find(|(id, _)| *id == plug).context("no plug")?.1;
            assert_ne!(plug_txid, txid, "{what}: the batch did not gather");
            rows.retain(|(id, _)| *id > plug);
            let expected: Vec<_> = neighbours.iter().map(|id| (*id, txid)).collect();
            assert_eq!(rows, expected, "{what}: neighbours, with their transaction");
        }
    }
    let metrics = writer.get("/metrics").await?.body;
    let rejections = metrics.lines().filter(|line| line.starts_with("forebay_rejections_total{"));
    let counted: f64 =
        rejections.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert_eq!(counted, (POISONS.len() * EVENTS) as f64, "{metrics}");
    writer.stop().await
}

/// A large stream with bad events all over it, in whatever batches it comes.
#[tokio::test]
async fn bad_events_all_over_a_stream_are_the_only_dead_letters() -> Result<()> {
    let seed: u64 = rand::random();
    println!("seed: {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut readings = Readings::create("poisons", 2).await?;
    let mut events = Vec::new();
    let (mut expected_rows, mut expected_letters) = (Vec::new(), Vec::new());
    for index in 0..3000_usize {
        let (partition, offset) = (i32::try_from(index % 2)?, i64::try_from(index / 2)?);
        let id = readings.next_id();
        if random.random_bool(0.03) {
            let poison = &POISONS[random.random_range(0..POISONS.len())];
            events.push((partition, poison.payload(id)));
            expected_letters.push((partition, offset, poison.sqlstate.to_owned()));
        } else {
            events.push((partition, Some(good(id))));
            expected_rows.push(id);
        }
    }
    expected_letters.sort();
    let messages = events.iter().map(|(partition, payload)| Message {
        partition: *partition,
        payload: payload.as_deref(),
        ..Message::default()
    });
    let sent = readings.producer.send_all(&readings.topic, messages).await?;
    let mut writer = Writer::start(&readings.stack, readings.config().set("batch.max_rows", 700))?;
    let merged = readings.database.wait_until_all_merged(SOURCE, &readings.topic, &sent).await;
    merged.with_context(|| writer.output().tail())?;
    writer.stop().await?;

    let rows: Vec<i32> = readings.rows().await?.into_iter().map(|(id, _)| id).collect();
    ensure!(rows == expected_rows, "{} rows of {}", rows.len(), expected_rows.len());
    let sql = "select partition, event_offset, sqlstate from forebay.dead_letter \
               order by partition, event_offset";
    let letters = readings.database.primary().query(sql, &[]).await?;
    let letters: Vec<(i32, i64, String)> =
        letters.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(letters, expected_letters);
    Ok(())
}

/// An event of several rows is refused whole, and takes with it what refers to its rows.
#[tokio::test]
async fn a_rejected_event_leaves_none_of_its_rows() -> Result<()> {
    let readings = Readings::create("whole", 1).await?;
    let sensor = |id: i32| json!({"table": "public.sensor", "row": {"id": id}});
    let reading = |id: i32, sensor: i32, value: i32| json!({"table": "public.reading", "row": {"id": id, "sensor": sensor, "value": value}});
    let events = [
        // A child before its parent, in one event: foreign keys count at its end.
        json!({"rows": [reading(10, 5, 1), sensor(5)]}),
        // The last row is refused, and all with it.
        json!({"rows": [sensor(6), reading(11, 6, 1), reading(12, 6, -1)]}),
        // Its parent was refused with the event before.
        json!({"rows": [reading(13, 6, 1)]}),
        // No such target; a neighbour of it.
        json!({"rows": [reading(14, 1, 1), {"table": "public.nothing", "row": {"id": 1}}]}),
        json!({"rows": [reading(15, 5, 1), reading(16, 1, 1)]}),
    ];
    let mut sent = Vec::new();
    for event in events {
        let text = event.to_string();
        sent.push(readings.producer.send(&readings.topic, 0, None, Some(text.as_bytes())).await?);
    }
    let mut writer = Writer::start(&readings.stack, readings.config().rows())?;
    readings.wait_until_merged(sent[4], &writer).await?;
    writer.stop().await?;

    let rows: Vec<i32> = readings.rows().await?.into_iter().map(|(id, _)| id).collect();
    assert_eq!(rows, [10, 15, 16]);
    let sensors = "select array_agg(id order by id) from sensor";
    let sensors: Vec<i32> = readings.database.primary().query_one(sensors, &[]).await?.get(0);
    assert_eq!(sensors, [1, 5]);
    let sql = "select event_offset, sqlstate, target, \"constraint\" from forebay.dead_letter \
               order by event_offset";
    let letters = readings.database.primary().query(sql, &[]).await?;
    type Letter = (i64, String, Option<String>, Option<String>);
    let letters: Vec<Letter> =
        letters.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let letter = |offset, sqlstate: &str, target: &str, constraint: Option<&str>| -> Letter {
        (offset, sqlstate.to_owned(), Some(target.to_owned()), constraint.map(str::to_owned))
    };
    let expected = [
        letter(1, "23514", "public.reading", Some("reading_value_check")),
        letter(2, "23503", "public.reading", Some("reading_sensor_fkey")),
        letter(3, "42P01", "public.nothing", None),
    ];
    assert_eq!(letters, expected);
    Ok(())
}
