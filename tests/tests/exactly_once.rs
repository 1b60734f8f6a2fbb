//! Whatever is killed, and whenever: each event is merged once.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Broker, Database, Gate, NumberedStream, Postgres, Stack, Writer, numbered_stream::TABLE,
    postgres::THROW_AWAY, wait,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// What the other tests rest on.
#[tokio::test]
async fn the_check_sees_what_is_lost_and_what_is_doubled() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "check", 2).await?;
    stream.send(20).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    writer.stop().await?;
    stream.check_complete().await?;
    let one = "where partition = 1 and number = 5";
    for (harm, expected) in [
        (format!("insert into {TABLE} select * from {TABLE} {one}"), "1 doubled"),
        (format!("delete from {TABLE} {one}"), "1 lost: (1,5)"),
    ] {
        stream.database().primary().batch_execute(&harm).await?;
        let error = stream.check_complete().await.err().context(harm)?.to_string();
        ensure!(error.contains(expected), "{error}");
    }
    Ok(())
}

/// Kills the writer at a failpoint, when it comes there for the first and for the third time, and
/// lets the next writer go on.
async fn killed_at(failpoint: &str, hits: &[u32]) -> Result<()> {
    killed_in_batches_of(40, failpoint, hits).await
}

async fn killed_in_batches_of(rows: u16, failpoint: &str, hits: &[u32]) -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "killed", 3).await?;
    stream.send(usize::from(rows) * 8).await?;
    for hit in hits {
        let config =
            stream.config().set("batch.max_rows", i64::from(rows)).failpoint(failpoint, *hit);
        let mut writer = Writer::start(&stack, config)?;
        writer.wait_for_failpoint(failpoint).await?;
        let status = writer.exit_status()?;
        ensure!(status.is_none(), "the writer ended by itself: {status:?}");
        writer.kill()?;
        stream.check_consistent().await.with_context(|| format!("{failpoint}:{hit}"))?;
        stream.send(100).await?;
    }
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    writer.stop().await?;
    stream.check_complete().await
}

#[tokio::test]
async fn a_writer_killed_before_it_claims_loses_nothing() -> Result<()> {
    killed_at("consume.before_claim", &[1]).await
}

#[tokio::test]
async fn a_writer_killed_in_copy_loses_nothing() -> Result<()> {
    // Rows are sent by chunks of 128 KiB: the writer dies with some of a batch's rows sent.
    killed_in_batches_of(4000, "stage.in_copy", &[1, 3]).await
}

#[tokio::test]
async fn a_writer_killed_before_the_merge_loses_nothing() -> Result<()> {
    killed_at("stage.before_merge", &[1, 3]).await
}

#[tokio::test]
async fn a_writer_killed_before_it_commits_loses_nothing() -> Result<()> {
    killed_at("merge.before_commit", &[1, 3]).await
}

#[tokio::test]
async fn a_writer_killed_between_commit_and_reply_doubles_nothing() -> Result<()> {
    killed_at("merge.after_commit", &[1, 3]).await
}

#[tokio::test]
async fn a_writer_killed_before_it_acknowledges_doubles_nothing() -> Result<()> {
    killed_at("acknowledge.before", &[1, 3]).await
}

/// The failpoint stands where its name says: the batch is committed, and no writer knows it.
#[tokio::test]
async fn a_lost_reply_leaves_the_batch_committed() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "lost_reply", 1).await?;
    stream.send(10).await?;
    let mut writer = Writer::start(&stack, stream.config().failpoint("merge.after_commit", 1))?;
    writer.wait_for_failpoint("merge.after_commit").await?;
    ensure!(stream.merged().await? > 0, "nothing is committed at merge.after_commit");
    let said = writer.get("/metrics").await?.body;
    ensure!(said.contains("forebay_events_total{outcome=\"merged\"} 0"), "it knows:\n{said}");
    writer.kill()?;

    let mut writer = Writer::start(&stack, stream.config())?;
    // It may have nothing left to merge, and takes signals only when it runs.
    writer.wait_until_ready().await?;
    stream.wait_until_all_merged().await?;
    writer.stop().await?;
    stream.check_complete().await
}

/// Twenty random moments: "so many more events are merged".
#[tokio::test]
async fn a_writer_killed_at_twenty_random_moments_loses_and_doubles_nothing() -> Result<()> {
    const KILLS: usize = 20;
    let stack = Stack::from_env()?;
    let seed = match std::env::var("FOREBAY_TEST_SEED") {
        Ok(seed) => seed.parse().context("FOREBAY_TEST_SEED")?,
        Err(_) => rand::random(),
    };
    println!("seed: {seed} (FOREBAY_TEST_SEED repeats it)");
    let mut random = StdRng::seed_from_u64(seed);

    let mut stream = NumberedStream::create(&stack, "random", 4).await?;
    let config = stream.config().set("batch.max_rows", 50);
    stream.send(20_000).await?;
    let mut amid = 0;
    for _ in 0..KILLS {
        let before = stream.merged().await?;
        let more = random.random_range(0..=400).min(stream.sent() - before);
        let mut writer = Writer::start(&stack, config.clone())?;
        if more == 0 {
            // Some are killed before anything of theirs is merged: while they claim.
            writer.wait_for_line("").await?;
        } else {
            let merged = stream.wait_until_merged(before + more).await;
            merged.with_context(|| writer.output().tail())?;
        }
        writer.kill()?;
        let merged = stream.merged().await?;
        amid += usize::from(merged < stream.sent());
        stream.check_consistent().await.with_context(|| format!("after {merged} events"))?;
    }
    println!("{amid} of {KILLS} kills hit a writer with events left to merge");
    ensure!(amid >= KILLS / 2, "only {amid} kills hit a writer at work");
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.wait_until_all_merged().await?;
    writer.stop().await?;
    stream.check_complete().await
}

/// A private primary with a stream into it, from the shared broker.
async fn private_stream(stack: &Stack, prefix: &str) -> Result<(Postgres, NumberedStream)> {
    let primary = Postgres::primary(&stack.directory(prefix)?, "primary", THROW_AWAY).await?;
    let database = Database::create_on(primary.endpoint(), None, prefix).await?;
    let stream = NumberedStream::create_in(stack.kafka(), database, prefix, 2).await?;
    Ok((primary, stream))
}

/// Fault 6: the server ends all sessions and empties its unlogged tables.
#[tokio::test]
async fn a_killed_backend_loses_and_doubles_nothing() -> Result<()> {
    let stack = Stack::from_env()?;
    let (primary, mut stream) = private_stream(&stack, "backend").await?;
    let role = stream.database().writer_role().to_owned();
    let mut writer: Option<Writer> = None;
    for failpoint in ["merge.after_fence", "merge.before_write", "merge.after_write"] {
        let arm = format!("alter role {role} set forebay.failpoint = '{failpoint}'");
        stream.database().primary().batch_execute(&arm).await?;
        // The setting is for new sessions: the next writer's.
        if let Some(mut writer) = writer.take() {
            writer.stop().await?;
        }
        stream.send(200).await?;
        let writer = writer.insert(Writer::start(&stack, stream.config())?);
        let backend = wait_for_parked_backend(&primary, &stream, failpoint).await?;
        let disarm = format!("alter role {role} reset forebay.failpoint");
        stream.database().primary().batch_execute(&disarm).await?;

        crash(&primary, &mut stream, backend).await?;
        let merged = stream.wait_until_all_merged().await;
        merged.with_context(|| format!("{failpoint}: {}", writer.output().tail()))?;
        stream.check_complete().await.with_context(|| failpoint.to_owned())?;
    }
    Ok(())
}

/// Kills a backend, and connects again when the server has started anew for it.
async fn crash(primary: &Postgres, stream: &mut NumberedStream, backend: i32) -> Result<()> {
    primary.kill_backend(backend).await?;
    stream.database_mut().reconnect(primary.endpoint()).await
}

/// Waits until the server's log says that a failpoint was hit once more, and answers the process
/// id of the backend that stands there.
async fn wait_for_parked_backend(
    primary: &Postgres,
    stream: &NumberedStream,
    failpoint: &str,
) -> Result<i32> {
    wait::until(format!("failpoint {failpoint}"), || async {
        let log = fs::read_to_string(primary.log())?;
        Ok(log.contains(&format!("failpoint hit: {failpoint}")).then_some(()))
    })
    .await?;
    let sql = "select pid from pg_stat_activity \
               where usename = $1 and state = 'active' and wait_event_type = 'Extension'";
    let role = stream.database().writer_role();
    wait::until("the backend at the failpoint", || async move {
        let row = stream.database().primary().query_opt(sql, &[&role]).await?;
        Ok(row.map(|row| row.get(0)))
    })
    .await
}

/// The walk of a batch can be killed too; its rejected event is a dead letter once.
#[tokio::test]
async fn a_backend_killed_between_two_events_of_a_walk_loses_and_doubles_nothing() -> Result<()> {
    let stack = Stack::from_env()?;
    let (primary, mut stream) = private_stream(&stack, "walk").await?;
    let role = stream.database().writer_role().to_owned();
    // The last event of each partition is refused by a trigger, so that its batch is walked.
    let sql = format!(
        "create function refuse() returns trigger language plpgsql as $$ begin \
             raise exception using errcode = '23514', message = 'not this one'; end $$; \
         create trigger refuse before insert on {TABLE} \
             for each row when (new.number = 9) execute function refuse(); \
         alter role {role} set forebay.failpoint = 'walk.between_events'"
    );
    stream.database().primary().batch_execute(&sql).await?;
    stream.send(20).await?;
    let writer = Writer::start(&stack, stream.config())?;
    let backend = wait_for_parked_backend(&primary, &stream, "walk.between_events").await?;
    let disarm = format!("alter role {role} reset forebay.failpoint");
    stream.database().primary().batch_execute(&disarm).await?;
    crash(&primary, &mut stream, backend).await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;

    let sql = format!(
        "select (select count(*) from {TABLE}), (select count(distinct (partition, number)) \
         from {TABLE}), (select count(*) from forebay.dead_letter), \
         (select count(*) from forebay.dead_letter where attempts = 1 and sqlstate = '23514')"
    );
    let row = stream.database().primary().query_one(&sql, &[]).await?;
    let counts: [i64; 4] = [row.get(0), row.get(1), row.get(2), row.get(3)];
    assert_eq!(counts, [18, 18, 2, 2], "rows, distinct rows, dead letters, of them at first try");
    Ok(())
}

/// Fault 7. What was committed is there, what was not is merged again.
#[tokio::test]
async fn an_immediate_stop_of_the_primary_loses_and_doubles_nothing() -> Result<()> {
    let stack = Stack::from_env()?;
    let (mut primary, mut stream) = private_stream(&stack, "immediate").await?;
    // fsync is off, which only a crash of the machine minds.
    Gate::install(stream.database(), TABLE).await?;
    let mut writer = Writer::start(&stack, stream.config().set("batch.max_rows", 50))?;
    for round in 0..3 {
        stream.send(1000).await?;
        stream.wait_until_merged(round * 1000 + 100).await?;
        // It stops while a merge is in the middle of its work.
        let gate = Gate::in_merge(stream.database()).await?;
        let held = wait::until_within(Duration::from_secs(5), "a merge", || async {
            let all = stream.merged().await? == stream.sent();
            let held = gate.held().await?.is_some();
            Ok((all || held).then_some(held))
        })
        .await?;
        println!("round {round}: stopped {} a merge", if held { "in" } else { "without" });
        primary.stop_immediately().await?;
        primary.start().await?;
        stream.database_mut().reconnect(primary.endpoint()).await?;
        stream.check_consistent().await?;
        stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    }
    stream.check_complete().await?;
    ensure!(writer.exit_status()?.is_none(), "the writer ended: {}", writer.output().tail());
    writer.stop().await
}

/// Fault 12. What the broker acknowledged is merged once, also while it is away and after it came
/// back.
#[tokio::test]
async fn a_killed_broker_loses_and_doubles_nothing() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut broker = Broker::create(&stack.directory("broker")?, "broker", &[]).await?;
    let database = Database::create(&stack, "broker").await?;
    let kafka = broker.bootstrap_servers();
    let mut stream = NumberedStream::create_in(&kafka, database, "broker", 2).await?;
    let mut writer = Writer::start(&stack, stream.config().set("batch.max_rows", 50))?;
    stream.send(2000).await?;
    stream.wait_until_merged(200).await.with_context(|| writer.output().tail())?;
    broker.kill()?;
    broker.start().await?;
    stream.send(1000).await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    stream.check_complete().await?;
    ensure!(writer.exit_status()?.is_none(), "the writer ended: {}", writer.output().tail());
    writer.stop().await
}
