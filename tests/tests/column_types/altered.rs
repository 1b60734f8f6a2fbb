//! A column that gets another type while the writer runs.

use anyhow::{Context, Result};
use forebay_tests::{Database, Producer, Stack, Topic, Writer, WriterConfig};

const SOURCE: &str = "types";

/// Eight bytes are a bigint, a double or an instant: none must be taken for another.
#[tokio::test]
async fn values_are_never_read_as_another_type() -> Result<()> {
    let stack = Stack::from_env()?;
    let database = Database::create(&stack, "types_altered").await?;
    let client = database.primary();
    let sql = "create table t (id int4 primary key, v int8); select forebay.add_target('t')";
    client.batch_execute(sql).await?;
    let topic = Topic::create(stack.kafka(), "types_altered", 1).await?;
    let producer = Producer::new(stack.kafka())?;
    let config = WriterConfig::new(&stack, &database, SOURCE, &topic).flat("public.t");
    let mut writer = Writer::start(&stack, config)?;
    for (id, alter) in [
        (1, ""),
        (2, "alter table t alter v type float8"),
        (3, "alter table t alter v type text"),
        (4, "alter table t add w text default 'w'"),
        (5, "create domain few as int8; alter table t alter v type few using v::int8"),
        (6, "alter table t alter v type point using null"),
    ] {
        client.batch_execute(alter).await?;
        let event = match id {
            6 => format!(r#"{{"id": {id}, "v": "(6,6)"}}"#),
            _ => format!(r#"{{"id": {id}, "v": {id}}}"#),
        };
        let sent = producer.send(&topic, 0, None, Some(event.as_bytes())).await?;
        let merged = database.wait_until_merged(SOURCE, &topic, sent).await;
        merged.with_context(|| writer.output().tail())?;
        let sql = format!("select v::text from t where id = {id}");
        let stored: String = client.query_one(&sql, &[]).await?.get(0);
        assert_eq!(stored, if id == 6 { "(6,6)".to_owned() } else { id.to_string() });
    }
    let row = client.query_one("select string_agg(w, ' ' order by id) from t", &[]).await?;
    assert_eq!(row.get::<_, &str>(0), "w w w w w w");
    let letters = database.dead_letters(SOURCE).await?;
    assert!(letters.is_empty(), "{letters:?}");
    writer.stop().await
}
