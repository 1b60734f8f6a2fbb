//! Fault 26: one key many times, updated, deleted and inserted again.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use forebay_tests::{Message, Producer, Stack, Writer};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{SOURCE, Stream};

/// However the stream is cut, the table is what the events leave one by one, in their order.
#[tokio::test]
async fn one_key_many_times_ends_as_its_last_event_says() -> Result<()> {
    let stack = Stack::from_env()?;
    for max_rows in [7, 20_000] {
        let stream = Stream::create(&stack, stack.kafka(), 1, &[]).await?;
        let random = &mut StdRng::seed_from_u64(26);
        let mut expected = BTreeMap::new();
        let mut events = vec![
            row("upsert", 100, Some("first")),
            row("delete", 100, None),
            row("upsert", 100, Some("last")),
        ];
        expected.insert(100, "last".to_owned());
        for number in 0..600 {
            let id = random.random_range(0..5);
            if random.random_bool(0.3) {
                expected.remove(&id);
                events.push(row("delete", id, None));
            } else {
                let note = format!("n{number}");
                events.push(row("upsert", id, Some(&note)));
                expected.insert(id, note);
            }
        }
        let messages = events
            .iter()
            .map(|event| Message { payload: Some(event.as_bytes()), ..Message::default() });
        let sent = Producer::new(stack.kafka())?.send_all(&stream.topic, messages).await?;
        let mut writer =
            Writer::start(&stack, stream.config().rows().set("batch.max_rows", max_rows))?;
        let last = *sent.last().context("no events")?;
        let merged = stream.database.wait_until_merged(SOURCE, &stream.topic, last).await;
        merged.with_context(|| writer.output().tail())?;
        let rows = stream.database.primary().query("select id, note from event", &[]).await?;
        let found: BTreeMap<i32, String> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(found, expected, "batches of {max_rows}");
        assert!(stream.database.dead_letters(SOURCE).await?.is_empty());
        writer.stop().await?;
    }
    Ok(())
}

fn row(op: &str, id: i32, note: Option<&str>) -> String {
    let more = note.map(|note| format!(r#", "partition": 0, "note": "{note}""#));
    let more = more.unwrap_or_default();
    format!(
        r#"{{"rows": [{{"table": "public.event", "op": "{op}", "row": {{"id": {id}{more}}}}}]}}"#
    )
}
