//! What the writer shows of itself: metrics, health, and its log.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Message, Producer, Stack, Topic, Writer, WriterConfig, metrics::Metrics, wait,
};
use serde_json::Value;

const SOURCE: &str = "service";

struct Service {
    stack: Stack,
    database: Database,
    topic: Topic,
    producer: Producer,
}

impl Service {
    async fn create(prefix: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        let sql = "create table t (id int4 primary key, note varchar(10)); \
                   select forebay.add_target('t')";
        database.primary().batch_execute(sql).await?;
        let topic = Topic::create(stack.kafka(), prefix, 2).await?;
        let producer = Producer::new(stack.kafka())?;
        Ok(Self { stack, database, topic, producer })
    }

    fn config(&self) -> WriterConfig {
        WriterConfig::new(&self.stack, &self.database, SOURCE, &self.topic).flat("public.t")
    }

    async fn send(&self, events: &[(i32, &str)]) -> Result<()> {
        let messages = events.iter().map(|(partition, event)| Message {
            partition: *partition,
            key: Some(br#"{"id": 1}"#),
            payload: (!event.is_empty()).then_some(event.as_bytes()),
            ..Message::default()
        });
        let sent = self.producer.send_all(&self.topic, messages).await?;
        self.database.wait_until_all_merged(SOURCE, &self.topic, &sent).await
    }
}

/// Waits until the metrics are as a closure wants them: they are counted after the commit that a
/// test has seen.
async fn metrics_when(writer: &Writer, seen: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
    let seen = &seen;
    wait::until("the metrics to be counted", || async move {
        Ok(Some(Metrics::of(writer).await?).filter(seen))
    })
    .await
}

#[tokio::test]
async fn metrics_count_what_was_done() -> Result<()> {
    let service = Service::create("metrics").await?;
    let mut writer = Writer::start(&service.stack, service.config())?;
    writer.wait_until_ready().await?;
    let before = Metrics::of(&writer).await?;
    assert_eq!(before.sum("forebay_events_total", &[("outcome", "merged")]), Some(0.0));

    // Inserted, updated, unchanged, deleted; refused by the writer and by the table.
    service.send(&[(0, r#"{"id": 1, "note": "a"}"#), (1, r#"{"id": 2, "note": "a"}"#)]).await?;
    service.send(&[(1, r#"{"id": 2, "note": "b"}"#)]).await?;
    service.send(&[(1, r#"{"id": 2, "note": "b"}"#)]).await?;
    service.send(&[(0, "")]).await?;
    service.send(&[(0, "{")]).await?;
    service.send(&[(0, r#"{"id": 3, "note": "longer than ten"}"#)]).await?;

    // The parts of a merge are what is counted last of a batch; what is read then is whole.
    metrics_when(&writer, |metrics| {
        let parts = metrics.sum("forebay_merge_part_seconds_count", &[("part", "write")]);
        metrics.sum("forebay_batch_events_sum", &[]) == Some(7.0)
            && metrics.sum("forebay_merges_total", &[]) == parts
    })
    .await?;
    let metrics = Metrics::of(&writer).await?;
    let get = |name, labels: &[_]| metrics.get(name, labels);
    assert_eq!(get("forebay_events_total", &[("outcome", "merged")])?, 5.0);
    assert_eq!(get("forebay_events_total", &[("outcome", "rejected")])?, 2.0);
    for (outcome, rows) in
        [("inserted", 2.0), ("updated", 1.0), ("unchanged", 1.0), ("deleted", 1.0)]
    {
        let labels = [("target", "public.t"), ("outcome", outcome)];
        assert_eq!(get("forebay_rows_total", &labels)?, rows, "{outcome}");
    }
    assert_eq!(get("forebay_rejections_total", &[("sqlstate", "22P02")])?, 1.0);
    assert_eq!(get("forebay_rejections_total", &[("sqlstate", "22001")])?, 1.0);

    let batches = get("forebay_merges_total", &[])?;
    ensure!((6.0..=7.0).contains(&batches), "{batches} merges");
    assert_eq!(get("forebay_batch_events_count", &[])?, batches);
    assert_eq!(get("forebay_batch_events_sum", &[])?, 7.0);
    assert_eq!(get("forebay_batch_rows_sum", &[])?, 6.0);
    ensure!(get("forebay_batch_bytes_sum", &[])? > 0.0);
    for step in ["consume", "decode", "stage", "merge", "commit"] {
        let labels = [("step", step)];
        assert_eq!(get("forebay_step_seconds_count", &labels)?, batches, "{step}");
        let seconds = get("forebay_step_seconds_sum", &labels)?;
        ensure!((0.0..120.0).contains(&seconds), "{step}: {seconds} s");
    }
    let merge = get("forebay_step_seconds_sum", &[("step", "merge")])?;
    let parts = get("forebay_merge_part_seconds_sum", &[])?;
    ensure!(0.0 < parts && parts < merge, "{parts} s of {merge} s");
    for part in ["count", "look", "write"] {
        let labels = [("part", part)];
        assert_eq!(get("forebay_merge_part_seconds_count", &labels)?, batches, "{part}");
    }

    for (partition, next_offset) in [("0", 4.0), ("1", 3.0)] {
        let labels = [("topic", service.topic.name()), ("partition", partition)];
        assert_eq!(get("forebay_next_offset", &labels)?, next_offset);
        assert_eq!(get("forebay_consumer_lag_offsets", &labels)?, 0.0);
        assert_eq!(get("forebay_consumer_lag_seconds", &labels)?, 0.0);
    }
    assert_eq!(get("forebay_claims_total", &[])?, 1.0);
    for name in [
        "forebay_rewinds_total",
        "forebay_fenced_merges_total",
        "forebay_unknown_commits_total",
        "forebay_offset_commit_failures_total",
        "forebay_buffered_bytes",
    ] {
        assert_eq!(get(name, &[])?, 0.0, "{name}");
    }
    writer.stop().await
}

/// While a merge is held up, events wait: the lag says so, and it goes when they are merged.
#[tokio::test]
async fn the_lag_is_seen_while_there_is_one() -> Result<()> {
    let service = Service::create("lag").await?;
    let mut writer = Writer::start(&service.stack, service.config())?;
    service.send(&[(0, r#"{"id": 1}"#)]).await?;
    let gate = forebay_tests::gate::Gate::before_stage(&service.database, "t").await?;
    let events = (2..102).map(|id| format!(r#"{{"id": {id}}}"#)).collect::<Vec<_>>();
    let messages = events
        .iter()
        .map(|event| Message { payload: Some(event.as_bytes()), ..Message::default() });
    let sent = service.producer.send_all(&service.topic, messages).await?;
    gate.wait_until_held().await?;
    let labels = [("topic", service.topic.name()), ("partition", "0")];
    let metrics = metrics_when(&writer, |metrics| {
        metrics.sum("forebay_consumer_lag_offsets", &labels) == Some(100.0)
            && metrics.sum("forebay_buffered_bytes", &[]).is_some_and(|bytes| bytes > 0.0)
    })
    .await
    .with_context(|| writer.output().tail())?;
    ensure!(metrics.get("forebay_consumer_lag_seconds", &labels)? > 0.0);
    gate.open().await?;
    service.database.wait_until_all_merged(SOURCE, &service.topic, &sent).await?;
    metrics_when(&writer, |metrics| {
        metrics.sum("forebay_consumer_lag_offsets", &labels) == Some(0.0)
            && metrics.sum("forebay_consumer_lag_seconds", &labels) == Some(0.0)
            && metrics.sum("forebay_buffered_bytes", &[]) == Some(0.0)
    })
    .await?;
    writer.stop().await
}

/// Every sample has a help text and a type, as Prometheus wants it.
#[tokio::test]
async fn metrics_are_explained() -> Result<()> {
    let service = Service::create("explained").await?;
    let mut writer = Writer::start(&service.stack, service.config())?;
    service.send(&[(0, r#"{"id": 1}"#)]).await?;
    let text = writer.get("/metrics").await?.body;
    let mut names = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        ensure!(name.starts_with("forebay_"), "{line}");
        for comment in ["HELP", "TYPE"] {
            ensure!(text.contains(&format!("# {comment} {family} ")), "{comment} of {name}");
        }
        names += 1;
    }
    ensure!(names > 20, "{text}");
    writer.stop().await
}

#[tokio::test]
async fn health_is_not_readiness() -> Result<()> {
    let service = Service::create("health").await?;
    // It has no right to anything: alive, and not ready.
    let role = service.database.writer_role();
    let sql = format!("revoke forebay_writer from {role}");
    service.database.primary().batch_execute(&sql).await?;
    let mut writer = Writer::start(&service.stack, service.config())?;
    let not_ready = wait::until("/readyz to say why not", || async {
        let answer = writer.get("/readyz").await.ok();
        let said = |body: &str| body.contains("forebay_writer") && !body.contains("starting");
        Ok(answer.filter(|answer| said(&answer.body)))
    })
    .await?;
    assert_eq!(not_ready.status, 503);
    let healthy = writer.get("/healthz").await?;
    assert_eq!((healthy.status, healthy.body.trim()), (200, "ok"));
    let components: Vec<Value> = serde_json::from_str(&not_ready.body)?;
    let ready = |name: &str| {
        components
            .iter()
            .find(|component| component["component"] == name)
            .map(|component| component["ready"].clone())
    };
    assert_eq!(ready("broker"), Some(true.into()), "{}", not_ready.body);
    assert_eq!(ready("database"), Some(false.into()), "{}", not_ready.body);
    assert_eq!(ready("claim"), Some(false.into()), "{}", not_ready.body);

    let sql = format!("grant forebay_writer to {role}");
    service.database.primary().batch_execute(&sql).await?;
    writer.wait_until_ready().await?;
    let ready = writer.get("/readyz").await?;
    let components: Vec<Value> = serde_json::from_str(&ready.body)?;
    ensure!(components.iter().all(|component| component["ready"] == true), "{}", ready.body);
    assert_eq!(writer.get("/nothing").await?.status, 404);
    writer.stop().await
}

#[tokio::test]
async fn the_log_in_json_has_a_line_per_batch() -> Result<()> {
    let service = Service::create("log").await?;
    let mut writer = Writer::start(&service.stack, service.config().set("log.format", "json"))?;
    for id in 1..=3 {
        service.send(&[(0, &format!(r#"{{"id": {id}}}"#))]).await?;
    }
    service.send(&[(1, "no \"JSON\"\n")]).await?;
    writer.stop().await?;

    let mut batches = Vec::new();
    for line in writer.output().lines() {
        let line: Value = serde_json::from_str(&line).with_context(|| format!("read `{line}`"))?;
        ensure!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        if line["message"] == "merged batch" {
            assert_eq!(line["level"], "INFO");
            batches.push(line);
        }
    }
    let sum =
        |name: &str| batches.iter().map(|batch| batch[name].as_u64().unwrap_or(99)).sum::<u64>();
    assert_eq!((batches.len(), sum("events"), sum("rows"), sum("rejected")), (4, 4, 3, 1));
    for name in ["stage_ms", "merge_ms", "commit_ms"] {
        ensure!(batches.iter().all(|batch| batch[name].is_number()), "{name}: {batches:?}");
    }
    let last = batches.last().context("a batch")?;
    let place = format!("{}/1:1", service.topic.name());
    assert_eq!(last["next_offsets"], place.as_str());
    Ok(())
}

/// The log for people: a line per batch, at level info and not at warn.
#[tokio::test]
async fn the_log_for_people_keeps_to_its_level() -> Result<()> {
    let service = Service::create("level").await?;
    let mut writer = Writer::start(&service.stack, service.config())?;
    service.send(&[(0, r#"{"id": 1}"#)]).await?;
    let line = writer.wait_for_line("merged batch").await?;
    ensure!(line.contains("INFO") && line.contains("events=1"), "{line}");
    writer.stop().await?;
    ensure!(!writer.output().lines().iter().any(|line| line.contains('\u{1b}')), "escapes");

    let mut writer = Writer::start(&service.stack, service.config().set("log.level", "warn"))?;
    service.send(&[(0, r#"{"id": 2}"#)]).await?;
    writer.stop().await?;
    let lines = writer.output().lines();
    ensure!(!lines.iter().any(|line| line.contains("INFO")), "{lines:?}");
    Ok(())
}
