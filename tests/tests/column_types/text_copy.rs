//! Rows that are copied as text do what rows do.

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Message, Producer, Stack, Topic, Writer, WriterConfig, command};

const SOURCE: &str = "types";

/// Partial events, nulls, deletes by key, and columns with names and values full of marks.
#[tokio::test]
async fn rows_of_text_are_named_in_part_and_deleted() -> Result<()> {
    let stack = Stack::from_env()?;
    let database = Database::create(&stack, "types_rows").await?;
    let sql = r#"create table t (
                     "K\ey	" text, id numeric, at point default '(9,9)', "No""te" text default 'd',
                     twice numeric generated always as (id * 2) stored,
                     primary key ("K\ey	", id));
                 select forebay.add_target('t')"#;
    database.primary().batch_execute(sql).await?;
    let topic = Topic::create(stack.kafka(), "types_rows", 1).await?;
    let key = r#"{"K\\ey\t": "a\\b\tc\nd", "id": 1.0}"#;
    let rows = [
        (None, Some(r#"{"K\\ey\t": "a\\b\tc\nd", "id": 1, "at": "(1,2)", "No\"te": "\\N"}"#)),
        (None, Some(r#"{"K\\ey\t": "\\.", "id": 2}"#)),
        (None, Some(r#"{"K\\ey\t": "", "id": 3, "at": null, "No\"te": null}"#)),
        (None, Some(r#"{"K\\ey\t": "\\.", "id": 2, "at": "(3,4)"}"#)),
        (None, Some(r#"{"K\\ey\t": "goes", "id": 4, "at": "(5,6)", "No\"te": "x"}"#)),
        (Some(r#"{"K\\ey\t": "goes", "id": 4.00}"#), None),
        (Some(r#"{"K\\ey\t": "goes", "id": "four"}"#), None),
        (Some(r#"{"K\\ey\t": "goes"}"#), None),
    ];
    let messages = rows.iter().map(|(key, payload)| Message {
        key: key.map(str::as_bytes),
        payload: payload.map(str::as_bytes),
        ..Message::default()
    });
    let producer = Producer::new(stack.kafka())?;
    let sent = producer.send_all(&topic, messages).await?;
    let config = WriterConfig::new(&stack, &database, SOURCE, &topic).flat("public.t");
    let ended = command::check(&stack, &config).await?;
    ensure!(ended.code == Some(0) && ended.stdout.contains("copied as text"), "{}", ended.said());
    let mut writer = Writer::start(&stack, config)?;
    let merged = database.wait_until_all_merged(SOURCE, &topic, &sent).await;
    merged.with_context(|| writer.output().tail())?;
    let stored = async || -> Result<Vec<String>> {
        let sql = r#"select to_json(array["K\ey	", id::text, at::text, "No""te", twice::text])::text
                     from t order by id"#;
        let rows = database.primary().query(sql, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    };
    let others = [r#"["\\.","2","(3,4)","d","4"]"#, r#"["","3",null,null,"6"]"#];
    let first = r#"["a\\b\tc\nd","1","(1,2)","\\N","2"]"#;
    assert_eq!(stored().await?, [first, others[0], others[1]]);
    let sent =
        producer.send_message(&topic, Message { key: Some(key.as_bytes()), ..Message::default() });
    database.wait_until_merged(SOURCE, &topic, sent.await?).await?;
    assert_eq!(stored().await?, others);
    let letters = database.dead_letters(SOURCE).await?;
    let found: Vec<_> =
        letters.iter().map(|letter| (letter.event.offset, letter.sqlstate.as_str())).collect();
    assert_eq!(found, [(6, "22P02"), (7, "23502")], "{letters:?}");
    writer.stop().await
}
