//! An outage never becomes dead letters, and never a hole; what is no outage stops loudly.

use std::fs;

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Gate, NumberedStream, Postgres, Producer, Stack, Topic, Writer, WriterConfig,
    numbered_stream::TABLE, postgres::THROW_AWAY, wait,
};

/// The sum of a metric over all its labels; 0 if it was never counted.
async fn sum_of(writer: &Writer, name: &str) -> Result<f64> {
    let text = writer.get("/metrics").await?.body;
    let of_name = text.lines().filter(|line| line.starts_with(name));
    Ok(of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// Waits until the writer has tried a batch again so often because of this SQLSTATE.
async fn wait_for_retries(writer: &Writer, sqlstate: &str, least: f64) -> Result<()> {
    let name = &format!("forebay_retries_total{{sqlstate=\"{sqlstate}\"}}");
    let tried = wait::until(format!("{least} retries for {sqlstate}"), || async move {
        Ok((sum_of(writer, name).await? >= least).then_some(()))
    });
    tried.await.with_context(|| writer.output().tail())
}

/// Waits until `/readyz` says no, for a reason that contains `reason`.
async fn wait_until_not_ready(writer: &Writer, reason: &str) -> Result<()> {
    let refused = wait::until(format!("/readyz to name `{reason}`"), || async move {
        let answer = writer.get("/readyz").await?;
        Ok((answer.status == 503 && answer.body.contains(reason)).then_some(()))
    });
    refused.await.with_context(|| writer.output().tail())
}

/// Waits for the rest of the stream, and checks that no event is lost, doubled or dead, and that
/// the writer is well.
async fn check_recovery(stream: &NumberedStream, writer: &mut Writer) -> Result<()> {
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    stream.check_complete().await?;
    writer.wait_until_ready().await?;
    let healthy = writer.get("/healthz").await?;
    ensure!(healthy.status == 200, "/healthz: {healthy:?}");
    assert_eq!(sum_of(writer, "forebay_rejections_total").await?, 0.0, "rejections");
    writer.stop().await
}

/// The primary is away, then back as a standby, which takes no writes, and then promoted.
#[tokio::test]
async fn a_primary_that_is_away_or_read_only_is_waited_for() -> Result<()> {
    let stack = Stack::from_env()?;
    let directory = stack.directory("away")?;
    let mut primary = Postgres::primary(&directory, "primary", THROW_AWAY).await?;
    let database = Database::create_on(primary.endpoint(), None, "away").await?;
    let mut stream = NumberedStream::create_in(stack.kafka(), database, "away", 2).await?;
    let mut writer = Writer::start(&stack, stream.config().set("batch.max_rows", 50))?;
    stream.send(1000).await?;
    stream.wait_until_merged(100).await.with_context(|| writer.output().tail())?;

    primary.stop().await?;
    wait_until_not_ready(&writer, "database").await?;
    stream.send(100).await?;

    let signal = primary.directory().join("standby.signal");
    fs::write(&signal, "")?;
    primary.start().await?;
    wait_until_not_ready(&writer, "read").await?;
    stream.send(100).await?;

    primary.promote().await?;
    stream.database_mut().reconnect(primary.endpoint()).await?;
    check_recovery(&stream, &mut writer).await
}

/// Lock timeouts where a slot is taken, and where rows are written.
#[tokio::test]
async fn a_locked_target_is_waited_for() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "locked", 2).await?;
    let role = stream.database().writer_role();
    let sql = format!("alter role {role} set lock_timeout = '50ms'");
    stream.database().primary().batch_execute(&sql).await?;
    Gate::install(stream.database(), TABLE).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    writer.wait_until_ready().await?;

    let gate = Gate::before_stage(stream.database(), TABLE).await?;
    stream.send(200).await?;
    wait_for_retries(&writer, "55P03", 3.0).await?;
    gate.open().await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;

    // Raised by a trigger, amid the write: still the world's fault.
    let before = sum_of(&writer, "forebay_retries_total").await?;
    let gate = Gate::in_merge(stream.database()).await?;
    stream.send(200).await?;
    wait_for_retries(&writer, "55P03", before + 3.0).await?;
    stream.check_consistent().await?;
    gate.open().await?;
    check_recovery(&stream, &mut writer).await
}

/// A merge that a person, or a timeout, cancels.
#[tokio::test]
async fn a_cancelled_merge_is_tried_again() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "cancelled", 2).await?;
    Gate::install(stream.database(), TABLE).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    let gate = Gate::in_merge(stream.database()).await?;
    stream.send(200).await?;
    let cancel = "select pg_cancel_backend($1)";
    for cancelled in 1..=2 {
        let backend = gate.wait_until_held().await.with_context(|| writer.output().tail())?;
        stream.database().primary().execute(cancel, &[&backend]).await?;
        wait_for_retries(&writer, "57014", f64::from(cancelled)).await?;
    }
    gate.open().await?;
    check_recovery(&stream, &mut writer).await
}

/// A session that is ended in the middle of its merge, by somebody.
#[tokio::test]
async fn an_ended_session_is_replaced() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "ended", 2).await?;
    Gate::install(stream.database(), TABLE).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    let gate = Gate::in_merge(stream.database()).await?;
    stream.send(200).await?;
    let backend = gate.wait_until_held().await.with_context(|| writer.output().tail())?;
    let end = "select pg_terminate_backend($1)";
    stream.database().primary().execute(end, &[&backend]).await?;
    gate.open().await?;
    check_recovery(&stream, &mut writer).await?;
    let claims = writer.output().lines();
    let claims = claims.iter().filter(|line| line.contains("claimed partitions")).count();
    ensure!(claims >= 2, "the new session did not claim: {}", writer.output().tail());
    Ok(())
}

/// Grants that go while the stream runs, and come back: the writer's, and the target's owner's.
#[tokio::test]
async fn a_missing_grant_is_waited_for() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "grant", 2).await?;
    let role = stream.database().writer_role().to_owned();
    let owner = format!("{}_owner", stream.database().name());
    let sql = format!("create role {owner}; alter table {TABLE} owner to {owner}");
    stream.database().primary().batch_execute(&sql).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.send(200).await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;

    let revoked_and_granted = [
        (format!("revoke forebay_writer from {role}"), format!("grant forebay_writer to {role}")),
        (
            format!("revoke insert on {TABLE} from {owner}"),
            format!("grant insert on {TABLE} to {owner}"),
        ),
    ];
    for (revoke, grant) in revoked_and_granted {
        stream.database().primary().batch_execute(&revoke).await?;
        let mark = writer.output().line_count();
        stream.send(200).await?;
        let said = writer.output().wait_for_line(mark, "again in").await;
        let said = said.with_context(|| revoke.clone())?;
        println!("{revoke}: {said}");
        // It goes on saying so, and does not move.
        writer.output().wait_for_line(writer.output().line_count(), "again in").await?;
        stream.check_consistent().await.with_context(|| revoke.clone())?;
        ensure!(stream.merged().await? < stream.sent(), "{revoke}: merged all the same");
        stream.database().primary().batch_execute(&grant).await?;
        let merged = stream.wait_until_all_merged().await;
        merged.with_context(|| format!("{grant}: {}", writer.output().tail()))?;
    }
    check_recovery(&stream, &mut writer).await
}

async fn send_numbers(stack: &Stack, topic: &Topic, payloads: &[String]) -> Result<()> {
    let messages = payloads.iter().map(|payload| forebay_tests::Message {
        payload: Some(payload.as_bytes()),
        ..forebay_tests::Message::default()
    });
    Producer::new(stack.kafka())?.send_all(topic, messages).await.map(drop)
}

/// A bad migration must not drain a topic into the dead letters.
#[tokio::test]
async fn a_batch_of_which_most_is_rejected_stops_its_partitions() -> Result<()> {
    let stack = Stack::from_env()?;
    let database = Database::create(&stack, "share").await?;
    let sql = "create table number (id int4 primary key check (id < 80)); \
               select forebay.add_target('number')";
    database.primary().batch_execute(sql).await?;
    // Refused by the decoder, by the database, and by both.
    let decoder = |id: i32| if id < 80 { format!("{{\"id\": {id}}}") } else { "{".to_owned() };
    let server = |id: i32| format!("{{\"id\": {id}}}");
    let both = |id: i32| if id % 3 == 0 { "{".to_owned() } else { format!("{{\"id\": {id}}}") };
    let streams: [Vec<String>; 3] = [
        (0..200).map(decoder).collect(),
        (0..200).map(server).collect(),
        (0..200).map(both).collect(),
    ];
    for (number, payloads) in streams.iter().enumerate() {
        let source = format!("share{number}");
        let topic = Topic::create(stack.kafka(), &source, 1).await?;
        let config = WriterConfig::new(&stack, &database, &source, &topic).flat("public.number");
        let mut writer = Writer::start(&stack, config)?;
        writer.wait_until_ready().await?;
        // One batch: the first event keeps the writer busy while the others gather.
        let gate = Gate::before_stage(&database, "number").await?;
        send_numbers(&stack, &topic, &["{\"id\": -1}".to_owned()]).await?;
        gate.wait_until_held().await?;
        send_numbers(&stack, &topic, payloads).await?;
        let last = vec![format!("{{\"id\": -2{}}}", " ".repeat(100_000))];
        send_numbers(&stack, &topic, &last).await?;
        let known = &writer;
        wait::until("the batch to be read", || async move {
            Ok((sum_of(known, "forebay_buffered_bytes").await? >= 100_000.0).then_some(()))
        })
        .await?;
        gate.open().await?;

        let said = writer.wait_for_line("rejections.max_share").await?;
        ensure!(said.contains("ERROR"), "not as an error: {said}");
        // The partition stops, not the process; and it is not tried again.
        wait_until_not_ready(&writer, "rejections.max_share").await?;
        assert_eq!(sum_of(&writer, "forebay_stopped_partitions").await?, 1.0);
        writer.stop().await?;
        let errors = writer.output().lines().iter().filter(|line| line.contains("ERROR")).count();
        assert_eq!(errors, 1, "{}", writer.output().tail());
        let sql = "select (select count(*) from forebay.dead_letter), \
                   (select count(*) from number where id <> -1), \
                   (select next_offset from forebay.progress where source = $1)";
        let row = database.primary().query_one(sql, &[&source]).await?;
        let found: (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(found, (0, 0, 1), "dead letters, rows, progress of {source}");
    }

    // Told that it is all right, it goes on.
    let topic = Topic::create(stack.kafka(), "share", 1).await?;
    send_numbers(&stack, &topic, &streams[0]).await?;
    let config = WriterConfig::new(&stack, &database, "allowed", &topic)
        .flat("public.number")
        .set("rejections.max_share", 1.0);
    let mut writer = Writer::start(&stack, config)?;
    let last = forebay_tests::Delivery { partition: 0, offset: 199 };
    let merged = database.wait_until_merged("allowed", &topic, last).await;
    merged.with_context(|| writer.output().tail())?;
    let sql = "select (select count(*) from forebay.dead_letter), \
               (select count(*) from number where id >= 0)";
    let row = database.primary().query_one(sql, &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (120, 80));
    writer.stop().await
}

/// SIGTERM: what is read is merged, and the exit code is 0.
#[tokio::test]
async fn a_writer_that_is_told_to_end_merges_what_it_has_read() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "drain", 1).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    writer.wait_until_ready().await?;
    let gate = Gate::before_stage(stream.database(), TABLE).await?;
    stream.send(1).await?;
    gate.wait_until_held().await?;
    let before = sum_of(&writer, "forebay_buffered_bytes").await?;
    stream.send(500).await?;
    // Each event has more bytes than its payload's 29.
    let known = &writer;
    wait::until("the events to be read", || async move {
        let bytes = sum_of(known, "forebay_buffered_bytes").await?;
        Ok((bytes > before + 29.0).then_some(()))
    })
    .await?;
    writer.terminate()?;
    writer.wait_for_line("told to end").await?;
    gate.open().await?;
    let status = writer.wait_for_exit().await?;
    assert_eq!(status.code(), Some(0), "{}", writer.output().tail());
    stream.check_consistent().await?;
    let merged = stream.merged().await?;
    ensure!(merged > 1, "only the batch in flight was merged");
    println!("{merged} of 501 events were merged");

    // Amid a stream, and not only at rest.
    let mut writer = Writer::start(&stack, stream.config().set("batch.max_rows", 50))?;
    stream.send(5000).await?;
    stream.wait_until_merged(1000).await?;
    writer.stop().await?;
    stream.check_consistent().await?;
    ensure!(stream.merged().await? < stream.sent(), "it was at rest already");
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_all_merged().await?;
    writer.stop().await?;
    stream.check_complete().await
}

/// A drain is bounded, and what it leaves is merged by the next writer.
#[tokio::test]
async fn a_drain_that_takes_too_long_is_given_up() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "undrained", 1).await?;
    let config = stream.config().set("shutdown.drain_timeout", "200ms");
    let mut writer = Writer::start(&stack, config)?;
    let gate = Gate::before_stage(stream.database(), TABLE).await?;
    stream.send(100).await?;
    gate.wait_until_held().await.with_context(|| writer.output().tail())?;
    writer.terminate()?;
    writer.wait_for_line("shutdown.drain_timeout").await?;
    let status = writer.wait_for_exit().await?;
    assert_eq!(status.code(), Some(0), "{}", writer.output().tail());
    assert_eq!(stream.merged().await?, 0);
    gate.open().await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    check_recovery(&stream, &mut writer).await
}
