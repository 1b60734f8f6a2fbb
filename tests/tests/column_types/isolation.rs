//! Rows that COPY refuses go alone.

use anyhow::{Context, Result};
use forebay_tests::{Database, Gate, Message, Producer, Stack, Topic, Writer, WriterConfig};

const SOURCE: &str = "types";
const EVENTS: i64 = 300;

/// The n-th event: a row of `place`, whose `at` only the server can read, and one of `log`.
fn event(id: i64) -> String {
    let at = match id {
        7 | 8 | 250 => "(1,",
        100 => "(1e999,0)",
        _ => "(1,2)",
    };
    let name = match id {
        42 => "'",
        _ => "'word'",
    };
    format!(
        r#"{{"rows": [{{"table": "public.place", "row": {{"id": {id}, "at": "{at}", "name": "{name}"}}}},
                      {{"table": "public.log", "row": {{"id": {id}}}}},
                      {{"table": "public.place", "row": {{"id": {}, "at": "(0,0)", "name": ""}}}}]}}"#,
        -id
    )
}

/// Bad literals in one batch with good ones: each is a dead letter, with nothing of its event
/// stored, and all others are merged.
#[tokio::test]
async fn a_bad_literal_harms_no_neighbour() -> Result<()> {
    let stack = Stack::from_env()?;
    let database = Database::create(&stack, "types_isolation").await?;
    let sql = "create table place (id int8 primary key, at point, name tsvector); \
               create table log (id int8 primary key, txid int8 default txid_current()); \
               select forebay.add_target('place'), forebay.add_target('log')";
    database.primary().batch_execute(sql).await?;
    let topic = Topic::create(stack.kafka(), "types_isolation", 1).await?;
    let producer = Producer::new(stack.kafka())?;
    let mut writer =
        Writer::start(&stack, WriterConfig::new(&stack, &database, SOURCE, &topic).rows())?;
    // All but the first event wait for one batch.
    let gate = Gate::before_stage(&database, "place").await?;
    let events: Vec<String> = (0..EVENTS).map(event).collect();
    producer.send(&topic, 0, None, Some(events[0].as_bytes())).await?;
    gate.wait_until_held().await?;
    let messages = events[1..]
        .iter()
        .map(|event| Message { payload: Some(event.as_bytes()), ..Message::default() });
    let sent = producer.send_all(&topic, messages).await?;
    gate.open().await?;
    let merged = database.wait_until_all_merged(SOURCE, &topic, &sent).await;
    merged.with_context(|| writer.output().tail())?;

    let letters = database.dead_letters(SOURCE).await?;
    let found: Vec<_> = letters
        .iter()
        .map(|letter| (letter.event.offset, letter.sqlstate.as_str(), letter.target.as_deref()))
        .collect();
    let place = Some("public.place");
    let expected = [
        (7, "22P02", place),
        (8, "22P02", place),
        (42, "42601", place),
        (100, "22003", place),
        (250, "22P02", place),
    ];
    assert_eq!(found, expected, "{letters:?}");
    assert_eq!(letters[0].payload.as_deref(), Some(events[7].as_bytes()));
    assert!(letters[0].message.contains("point"), "{letters:?}");

    let row = database
        .primary()
        .query_one(
            "select (select array_agg(id order by id) from log), \
                    (select array_agg(id order by id) from place), \
                    (select count(distinct txid) from log)",
            &[],
        )
        .await?;
    let bad = [7, 8, 42, 100, 250];
    let good: Vec<i64> = (0..EVENTS).filter(|id| !bad.contains(id)).collect();
    assert_eq!(row.get::<_, Vec<i64>>(0), good);
    let mut places: Vec<i64> = good.iter().flat_map(|id| [*id, -id]).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(row.get::<_, Vec<i64>>(1), places);
    assert_eq!(row.get::<_, i64>(2), 2, "transactions");
    writer.stop().await
}

/// An event alone in its batch is refused too, and so are all of a batch.
#[tokio::test]
async fn nothing_but_bad_literals_does_not_stop_the_stream() -> Result<()> {
    let stack = Stack::from_env()?;
    let database = Database::create(&stack, "types_refused").await?;
    let sql = "create table place (id int8 primary key, at point); \
               select forebay.add_target('place')";
    database.primary().batch_execute(sql).await?;
    let topic = Topic::create(stack.kafka(), "types_refused", 1).await?;
    let producer = Producer::new(stack.kafka())?;
    let config = WriterConfig::new(&stack, &database, SOURCE, &topic).flat("public.place");
    let mut writer = Writer::start(&stack, config)?;
    for id in 0..3 {
        let event = format!(r#"{{"id": {id}, "at": "nowhere"}}"#);
        let sent = producer.send(&topic, 0, None, Some(event.as_bytes())).await?;
        let merged = database.wait_until_merged(SOURCE, &topic, sent).await;
        merged.with_context(|| writer.output().tail())?;
    }
    let sent = producer.send(&topic, 0, None, Some(br#"{"id": 3, "at": "(1,2)"}"#)).await?;
    database.wait_until_merged(SOURCE, &topic, sent).await?;
    let letters = database.dead_letters(SOURCE).await?;
    assert_eq!(letters.len(), 3, "{letters:?}");
    assert!(letters.iter().all(|letter| letter.sqlstate == "22P02"), "{letters:?}");
    let row = database.primary().query_one("select array_agg(id) from place", &[]).await?;
    assert_eq!(row.get::<_, Vec<i64>>(0), [3]);
    writer.stop().await
}
