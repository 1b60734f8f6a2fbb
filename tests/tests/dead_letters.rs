//! What people do with rejected events: list them, look at one, let old ones go.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Delivery, Message, Producer, Stack, Topic, Writer, WriterConfig,
    command::{Ended, forebay},
    metrics::Metrics,
    wait,
};
use serde_json::{Value, json};

const SOURCE: &str = "letters";

struct Stream {
    stack: Stack,
    database: Database,
    topic: Topic,
    producer: Producer,
    admin: String,
}

impl Stream {
    async fn create(prefix: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        let sql = "create table t (id int4 primary key check (id > 0), note text); \
                   select forebay.add_target('t')";
        database.primary().batch_execute(sql).await?;
        let topic = Topic::create(stack.kafka(), prefix, 2).await?;
        let producer = Producer::new(stack.kafka())?;
        let admin = database.create_member("forebay_admin").await?;
        Ok(Self { stack, database, topic, producer, admin })
    }

    fn config(&self, source: &str) -> WriterConfig {
        WriterConfig::new(&self.stack, &self.database, source, &self.topic)
            .flat("public.t")
            .set("rejections.max_share", 1.0)
    }

    async fn send(&self, partition: i32, payload: &[u8]) -> Result<Delivery> {
        let headers: &[_] = &[("trace", Some(&b"abc"[..])), ("raw", Some(b"\xff")), ("none", None)];
        let (key, payload) = (Some(&b"\xfe"[..]), Some(payload));
        let timestamp = Some(1_767_225_600_123);
        let message = Message { partition, key, payload, headers, timestamp };
        self.producer.send_message(&self.topic, message).await
    }

    /// Four events that are refused, and one that is not.
    async fn send_mixed(&self) -> Result<Vec<Delivery>> {
        let mut sent = Vec::new();
        for (partition, payload) in [
            (0, &b"{\xff"[..]),
            (0, br#"{"id": 1, "note": "good"}"#),
            (0, br#"{"id": -1}"#),
            (1, br#"{"id": -2}"#),
            (1, br#"{"id": 1, "\u001b[2J": 1}"#),
        ] {
            sent.push(self.send(partition, payload).await?);
        }
        Ok(sent)
    }

    async fn run(&self, arguments: &[&str]) -> Result<Ended> {
        let dsn = ["FOREBAY_ADMIN_DSN".to_owned(), self.admin.clone()];
        forebay(&self.stack, arguments, [(&dsn[0], &dsn[1])]).await
    }

    /// What the list has, with these filters.
    async fn list(&self, filters: &[&str]) -> Result<Vec<Value>> {
        let ended = self.run(&[&["dead-letters", "list", "--json"], filters].concat()).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        ended.stdout.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

fn column<'a>(letters: &'a [Value], name: &str) -> Vec<&'a Value> {
    letters.iter().map(|letter| &letter[name]).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_and_shown() -> Result<()> {
    let stream = Stream::create("letters").await?;
    let sent = stream.send_mixed().await?;
    for source in [SOURCE, "other"] {
        let mut writer = Writer::start(&stream.stack, stream.config(source))?;
        stream.database.wait_until_all_merged(source, &stream.topic, &sent).await?;
        writer.stop().await?;
    }
    let topic = stream.topic.name();

    let all = stream.list(&["--source", SOURCE]).await?;
    assert_eq!(all.len(), 4);
    let is_first = |letter: &&Value| letter["partition"] == 0 && letter["offset"] == sent[0].offset;
    let first = all.iter().find(is_first).context("no letter")?;
    assert_eq!(first["sqlstate"], "22021", "{first}");
    assert_eq!(first["payload_bytes"], 2);
    for (filters, count) in [
        (&["--topic", topic][..], 8),
        (&["--topic", "none"], 0),
        (&["--source", SOURCE, "--partition", "1"], 2),
        (&["--source", SOURCE, "--target", "public.t"], 4),
        (&["--source", SOURCE, "--sqlstate", "23514"], 2),
        (&["--source", SOURCE, "--since", "1h"], 4),
        (&["--source", SOURCE, "--since", "2100-01-01T00:00:00Z"], 0),
        (&["--limit", "3"], 3),
    ] {
        assert_eq!(stream.list(filters).await?.len(), count, "{filters:?}");
    }
    let reasons = stream.list(&["--summary", "--source", SOURCE]).await?;
    assert_eq!(column(&reasons, "dead_letters"), [2, 1, 1]);
    assert_eq!(column(&reasons, "sqlstate"), ["23514", "22021", "42703"]);
    assert_eq!(reasons[0]["constraint"], "t_id_check");

    let ended = stream.run(&["dead-letters", "list", "--limit", "3"]).await?;
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{ended:?}");
    assert!(lines[0].starts_with("ID ") && lines[4].starts_with("3 of 8 "), "{ended:?}");
    let ended = stream.run(&["dead-letters", "list", "--summary"]).await?;
    assert!(ended.stdout.contains("t_id_check") && !ended.stdout.contains('\x1b'), "{ended:?}");
    let ended = stream.run(&["dead-letters", "list"]).await?;
    assert!(ended.stdout.contains("\\u{1b}[2J") && !ended.stdout.contains('\x1b'), "{ended:?}");

    let position = format!("{topic}/{}/{}", sent[0].partition, sent[0].offset);
    let id = first["id"].to_string();
    let ended = stream.run(&["dead-letters", "show", &id, "--json"]).await?;
    let shown: Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(shown["payload"], json!({"base64": "e/8="}));
    assert_eq!(shown["key"], json!({"base64": "/g=="}));
    assert_eq!(shown["event_timestamp"], "2026-01-01T00:00:00.123Z");
    let headers = json!([
        {"key": "trace", "value": {"text": "abc"}},
        {"key": "raw", "value": {"base64": "/w=="}},
        {"key": "none", "value": null},
    ]);
    assert_eq!(shown["headers"], headers);
    let ended = stream.run(&["dead-letters", "show", &position, "--source", SOURCE]).await?;
    for part in [&*position, "22021", "header       trace: abc", "raw: \\xff", "\\x7bff"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
    let raw = ["dead-letters", "show", &position, "--source", SOURCE, "--raw"];
    assert_eq!(stream.run(&raw).await?.stdout_bytes, b"{\xff");

    // Two sources have it, and nobody has another.
    let both = stream.run(&["dead-letters", "show", &position, "--json"]).await?;
    assert_eq!(both.stdout.lines().count(), 2);
    let ended = stream.run(&["dead-letters", "show", &position, "--raw"]).await?;
    assert!(ended.code == Some(64) && ended.stderr.contains("--source"), "{ended:?}");
    let good = format!("{topic}/{}/{}", sent[1].partition, sent[1].offset);
    let ended = stream.run(&["dead-letters", "show", &good]).await?;
    assert!(ended.code == Some(1) && ended.stderr.contains("no such dead letter"), "{ended:?}");
    Ok(())
}

/// A payload may hold anything: it is for those who look after the database.
#[tokio::test]
async fn dead_letters_are_for_admins() -> Result<()> {
    let stream = Stream::create("for_admins").await?;
    for role in ["forebay_writer", "forebay_reader"] {
        let dsn = stream.database.create_member(role).await?;
        let arguments = ["dead-letters", "list", "--dsn", &dsn];
        let ended = forebay(&stream.stack, &arguments, []).await?;
        let said = "log in as a role that is a member of forebay_admin";
        assert!(ended.code == Some(1) && ended.stderr.contains(said), "{ended:?}");
    }
    let ended = forebay(&stream.stack, &["dead-letters", "show", "1"], []).await?;
    assert!(ended.code == Some(64) && ended.stderr.contains("FOREBAY_ADMIN_DSN"), "{ended:?}");
    let replica = stream.database.replica_endpoint().context("no replica")?;
    stream.database.wait_until_replayed().await?;
    let user = stream.admin.rsplit("user=").next().context("no user")?;
    let dsn = replica.dsn(stream.database.name(), user);
    let ended = forebay(&stream.stack, &["dead-letters", "list", "--dsn", &dsn], []).await?;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "no dead letters\n"));
    Ok(())
}

/// Old ones of the source go, batch by batch; nobody else's do.
#[tokio::test]
async fn old_dead_letters_go_after_their_time() -> Result<()> {
    let stream = Stream::create("old_letters").await?;
    let client = stream.database.primary();
    let old = "insert into forebay.dead_letter \
                   (source, topic, partition, event_offset, sqlstate, message, last_seen) \
               select s, 'old', 0, n, '22P02', 'old', now() - interval '1 hour' \
               from unnest(array['letters', 'other']) s, generate_series(1, 2500) n";
    client.batch_execute(old).await?;
    let sent = stream.send(0, b"{").await?;
    let config = stream.config(SOURCE).set("dead_letters.retention", "30 minutes");
    let mut writer = Writer::start(&stream.stack, config)?;
    let line = writer.wait_for_line("that were kept for 30m").await?;
    assert!(line.contains("deleted 2500 dead letters"), "{line}");
    stream.database.wait_until_merged(SOURCE, &stream.topic, sent).await?;
    let database = &stream.database;
    let left = |source: &'static str| async move {
        anyhow::Ok(database.dead_letters(source).await?.len())
    };
    assert_eq!((left(SOURCE).await?, left("other").await?), (1, 2500));
    let expired = Metrics::of(&writer).await?.get("forebay_dead_letters_expired_total", &[])?;
    assert_eq!(expired, 2500.0);
    writer.stop().await?;

    // One that was rejected by this very writer, after a second.
    let config = stream.config(SOURCE).set("dead_letters.retention", "1s");
    let mut writer = Writer::start(&stream.stack, config)?;
    wait::until("the last dead letter to go", || async {
        Ok((left(SOURCE).await? == 0).then_some(()))
    })
    .await?;
    writer.stop().await?;
    assert_eq!(left("other").await?, 2500);
    for arguments in ["'letters', null", "'letters', '0'", "'letters', '1 day', 0"] {
        let sql = format!("select forebay.expire_dead_letters({arguments})");
        let error = client.batch_execute(&sql).await.err().context(sql)?;
        assert_eq!(error.code().map(|code| code.code()), Some("22023"), "{arguments}");
    }
    Ok(())
}
