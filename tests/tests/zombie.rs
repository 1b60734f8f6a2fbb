//! A writer that lost its partitions cannot commit, and cannot stand in the way of the one that
//! has them now.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Gate, NumberedStream, Stack, Writer, WriterConfig,
    numbered_stream::{SOURCE, TABLE},
    wait,
};
use tokio_postgres::{Client, error::SqlState, types::ToSql};

/// A metric without labels.
async fn metric(writer: &Writer, name: &str) -> Result<f64> {
    let text = writer.get("/metrics").await?.body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no {name} in\n{text}"))?.trim().parse()?)
}

async fn wait_for_metric(writer: &Writer, name: &str, least: f64) -> Result<()> {
    let reached = wait::until(format!("{name} to be {least}"), || async move {
        Ok((metric(writer, name).await? >= least).then_some(()))
    });
    reached.await.with_context(|| writer.output().tail())
}

async fn is_alive(database: &Database, backend: i32) -> Result<bool> {
    let sql = "select exists (select from pg_stat_activity where pid = $1)";
    Ok(database.primary().query_one(sql, &[&backend]).await?.get(0))
}

/// A configuration for a zombie: it must not be a timeout that ends its session.
fn untimed(stream: &NumberedStream) -> WriterConfig {
    stream.config().set("database.idle_in_transaction_timeout", "5min")
}

/// A configuration for the one that takes over: it logs in as another role.
async fn of_another_role(stream: &NumberedStream) -> Result<WriterConfig> {
    let database = stream.database();
    let role = format!("{}_successor", database.name());
    let sql = format!("create role {role} login in role forebay_writer");
    database.primary().batch_execute(&sql).await?;
    let dsn = database.primary_endpoint().dsn(database.name(), &role);
    Ok(stream.config().set("database.dsn", dsn))
}

/// Waits until one of these sessions, which a stopped writer has, was ended.
async fn wait_until_ended(database: &Database, backend: i32) -> Result<()> {
    wait::until("the zombie's session to end", || async move {
        Ok((!is_alive(database, backend).await?).then_some(()))
    })
    .await
}

/// Checks that partitions were claimed by another within the 10 seconds that a take-over may take,
/// counted from the stopped writer's last heartbeat, by the primary's clock.
async fn check_take_over_time(stream: &NumberedStream, zombie: &Writer) -> Result<()> {
    let sql = "select extract(epoch from min(p.updated_at) - max(h.beat_at))::float8 \
               from forebay.progress p, forebay.writer_heartbeat h \
               where h.claimant like '%:' || $1::text and p.claimant <> h.claimant";
    let id = zombie.id().to_string();
    let row = stream.database().primary().query_one(sql, &[&id]).await?;
    let seconds: f64 = row.get::<_, Option<f64>>(0).context("no heartbeat, or no successor")?;
    println!("taken over {seconds:.1} s after the last heartbeat");
    ensure!((6.0..10.0).contains(&seconds), "taken over after {seconds} s");
    Ok(())
}

/// The zombie wakes up: it changes nothing, and the two share the partitions from then on.
async fn check_awakening(
    stream: &mut NumberedStream,
    zombie: &mut Writer,
    successor: &mut Writer,
) -> Result<()> {
    zombie.resume()?;
    for writer in [&*zombie, &*successor] {
        wait_for_metric(writer, "forebay_live_writers", 2.0).await?;
        wait_for_metric(writer, "forebay_owned_partitions", 1.0).await?;
    }
    stream.check_complete().await?;
    stream.send(50).await?;
    stream.wait_until_all_merged().await.with_context(|| zombie.output().tail())?;
    stream.check_complete().await?;
    zombie.stop().await?;
    successor.stop().await
}

/// Fault 4, where it hurts: the stopped writer's transaction has merged, and holds the progress
/// row. The successor has no right to end it, being of another role.
#[tokio::test]
async fn a_writer_stopped_after_its_merge_is_put_out_of_the_way() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "zombie", 2).await?;
    Gate::install(stream.database(), TABLE).await?;
    let gate = Gate::in_merge(stream.database()).await?;
    stream.send(50).await?;
    let mut zombie = Writer::start(&stack, untimed(&stream))?;
    let backend = gate.wait_until_held().await.with_context(|| zombie.output().tail())?;
    zombie.pause()?;
    gate.open().await?;
    // The merge ends and answers, and nobody reads the answer.
    wait::until("the zombie's open transaction", || async {
        let sql = "select state = 'idle in transaction' from pg_stat_activity where pid = $1";
        let row = stream.database().primary().query_opt(sql, &[&backend]).await?;
        Ok(row.context("the zombie's session is gone")?.get::<_, bool>(0).then_some(()))
    })
    .await?;
    ensure!(stream.merged().await? == 0, "the zombie has committed");

    let mut successor = Writer::start(&stack, of_another_role(&stream).await?)?;
    stream.send(50).await?;
    stream.wait_until_all_merged().await.with_context(|| successor.output().tail())?;
    check_take_over_time(&stream, &zombie).await?;
    stream.check_complete().await?;
    wait_until_ended(stream.database(), backend).await?;
    check_awakening(&mut stream, &mut zombie, &mut successor).await
}

/// Fault 4 before the merge: no progress row is held, and its session owns the partitions all the
/// same.
#[tokio::test]
async fn a_writer_stopped_before_its_merge_is_put_out_of_the_way() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "before", 2).await?;
    let gate = Gate::before_stage(stream.database(), TABLE).await?;
    stream.send(50).await?;
    let mut zombie = Writer::start(&stack, untimed(&stream))?;
    let backend = gate.wait_until_held().await.with_context(|| zombie.output().tail())?;
    zombie.pause()?;
    gate.open().await?;

    let mut successor = Writer::start(&stack, of_another_role(&stream).await?)?;
    stream.send(50).await?;
    stream.wait_until_all_merged().await.with_context(|| successor.output().tail())?;
    check_take_over_time(&stream, &zombie).await?;
    wait_until_ended(stream.database(), backend).await?;
    check_awakening(&mut stream, &mut zombie, &mut successor).await
}

/// Fault 4 inside COPY, where no query can be cancelled.
#[tokio::test]
async fn a_writer_stopped_in_copy_is_put_out_of_the_way() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "in_copy", 2).await?;
    stream.send(50).await?;
    let mut zombie = Writer::start(&stack, untimed(&stream).failpoint("stage.in_copy", 1))?;
    zombie.wait_for_failpoint("stage.in_copy").await?;
    zombie.pause()?;
    let sql = "select pid from pg_stat_activity where usename = $1 and state = 'active' \
               and wait_event = 'ClientRead' and query like 'copy forebay_staging.%'";
    let role = stream.database().writer_role();
    let in_copy = stream.database().primary().query_opt(sql, &[&role]).await?;
    let backend: i32 = in_copy.context("the zombie's session is not inside COPY")?.get(0);

    let mut successor = Writer::start(&stack, of_another_role(&stream).await?)?;
    stream.send(50).await?;
    stream.wait_until_all_merged().await.with_context(|| successor.output().tail())?;
    check_take_over_time(&stream, &zombie).await?;
    stream.check_complete().await?;
    wait_until_ended(stream.database(), backend).await?;
    // At its failpoint it hangs for ever: it is killed as it stands.
    zombie.kill()?;
    stream.send(50).await?;
    stream.wait_until_all_merged().await?;
    successor.stop().await?;
    stream.check_complete().await
}

/// The token is what stops a writer whose partitions were claimed under its hands; it still owns
/// them, so it claims again, and goes on.
#[tokio::test]
async fn a_writer_whose_partitions_were_claimed_is_fenced() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "fenced", 2).await?;
    let gate = Gate::before_stage(stream.database(), TABLE).await?;
    stream.send(50).await?;
    let mut writer = Writer::start(&stack, untimed(&stream))?;
    gate.wait_until_held().await.with_context(|| writer.output().tail())?;
    let sql = "select from forebay.claim($1, $2, array[0, 1], array[0, 0]::int8[], 'a person')";
    let parameters: [&(dyn ToSql + Sync); 2] = [&SOURCE, &stream.topic().name()];
    stream.database().primary().query(sql, &parameters).await?;
    gate.open().await?;
    let said = writer.wait_for_line("FB001").await?;
    ensure!(said.contains(stream.topic().name()), "the partitions are not named: {said}");
    wait_for_metric(&writer, "forebay_fenced_merges_total", 1.0).await?;
    stream.send(50).await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    stream.check_complete().await?;
    writer.stop().await
}

/// Fault 5. What each says it has merged adds up.
#[tokio::test]
async fn two_writers_on_the_same_topic_merge_each_event_once() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "two", 3).await?;
    let config = stream.config().set("batch.max_rows", 20);
    let mut writers = [Writer::start(&stack, config.clone())?, Writer::start(&stack, config)?];
    for _ in 0..10 {
        stream.send(100).await?;
        stream.wait_until_merged(stream.sent() - 90).await?;
    }
    for writer in &writers {
        wait_for_metric(writer, "forebay_owned_partitions", 1.0).await?;
    }
    stream.send(100).await?;
    stream.wait_until_all_merged().await?;
    stream.check_complete().await?;
    let mut merged = 0.0;
    for writer in &mut writers {
        let name = "forebay_events_total{outcome=\"merged\"}";
        // A commit shows in the database before it does in the metric.
        let known = &*writer;
        wait::until("the writer to be idle", || async move {
            Ok((metric(known, "forebay_buffered_bytes").await? == 0.0).then_some(()))
        })
        .await?;
        let own = metric(writer, name).await?;
        ensure!(own > 0.0, "a writer has merged nothing: {}", writer.output().tail());
        merged += own;
        writer.stop().await?;
    }
    assert_eq!(merged, stream.sent() as f64, "events that the writers say they have merged");
    Ok(())
}

/// A session as the writer's role, which does by hand what a writer does.
struct Claimant {
    client: Client,
    backend: i32,
}

const CLAIM: &str = "select token::text from forebay.claim('hand', 't', array[$1::int4], \
                     array[0::int8], 'a test', null, $2::text::interval)";

const MERGE: &str = "select forebay.merge($1, 'hand', \
    array(select row('t', p, k::uuid, 0, 1, null, null, null)::forebay.advance \
          from unnest($2::int4[], $3::text[]) as a(p, k)), \
    array(select row('public.numbered'::regclass, $4::int8)::forebay.staged where $4 > 0))::text";

impl Claimant {
    async fn connect(database: &Database) -> Result<Self> {
        let client = database.connect_primary_as(database.writer_role()).await?;
        // A claim that waits for ever is a failure, not a test that hangs.
        client.batch_execute("set statement_timeout = '30s'").await?;
        let backend = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
        Ok(Self { client, backend })
    }

    /// Claims a partition, and answers its token.
    async fn claim(&self, partition: i32, grace: &str) -> Result<String, tokio_postgres::Error> {
        Ok(self.client.query_one(CLAIM, &[&partition, &grace]).await?.get(0))
    }

    /// Begins a transaction and stages so many rows; answers the slot.
    async fn stage(&self, rows: i32) -> Result<i32> {
        self.client.batch_execute("begin").await?;
        let sql = "select staging::text, slot, batch::text \
                   from forebay.stage(array['public.numbered'::regclass])";
        let row = self.client.query_one(sql, &[]).await?;
        let (staging, slot, batch): (&str, i32, &str) = (row.get(0), row.get(1), row.get(2));
        let sql = format!(
            "insert into {staging} (_batch, _event, _row, _op, _given, partition, number) \
             select '{batch}', n, 0, 'u', array[1, 2]::int2[], 7, n from generate_series(1, {rows}) n"
        );
        self.client.batch_execute(&sql).await?;
        Ok(slot)
    }

    /// Merges, to offset 1 of each partition.
    async fn merge(
        &self,
        slot: Option<i32>,
        partitions: &[(i32, &str)],
        rows: i64,
    ) -> Result<(), tokio_postgres::Error> {
        let (numbers, tokens): (Vec<i32>, Vec<&str>) = partitions.iter().copied().unzip();
        self.client.query_one(MERGE, &[&slot, &numbers, &tokens, &rows]).await.map(drop)
    }
}

async fn by_hand(prefix: &str) -> Result<(NumberedStream, Vec<Claimant>)> {
    let stack = Stack::from_env()?;
    let stream = NumberedStream::create(&stack, prefix, 1).await?;
    let mut claimants = Vec::new();
    for _ in 0..4 {
        claimants.push(Claimant::connect(stream.database()).await?);
    }
    Ok((stream, claimants))
}

async fn next_offsets(database: &Database) -> Result<Vec<i64>> {
    let sql = "select array_agg(next_offset order by partition) from forebay.progress";
    Ok(database.primary().query_one(sql, &[]).await?.get(0))
}

async fn row_count(database: &Database) -> Result<i64> {
    let sql = format!("select count(*) from {TABLE}");
    Ok(database.primary().query_one(&sql, &[]).await?.get(0))
}

#[tokio::test]
async fn a_merge_with_an_old_token_changes_nothing_and_says_of_which_partitions() -> Result<()> {
    let (stream, claimants) = by_hand("old_token").await?;
    let [old, new, ..] = claimants.as_slice() else { unreachable!() };
    let (kept, lost) = (old.claim(0, "2 s").await?, old.claim(1, "2 s").await?);
    let taken = new.claim(1, "2 s").await?;
    ensure!(taken != lost, "a claim left the token as it was");

    let slot = old.stage(2).await?;
    let merged = old.merge(Some(slot), &[(0, &kept), (1, &lost)], 2).await;
    let error = merged.err().context("an old token was good enough")?;
    let error = error.as_db_error().context("another error")?;
    assert_eq!(error.code().code(), "FB001", "{error}");
    assert_eq!(error.detail(), Some("t/1 at 0"));
    ensure!(old.client.batch_execute("commit").await.is_ok(), "the session is gone");
    assert_eq!(
        (next_offsets(stream.database()).await?, row_count(stream.database()).await?),
        (vec![0, 0], 0)
    );

    // What it still has, it can merge.
    let slot = old.stage(2).await?;
    old.merge(Some(slot), &[(0, &kept)], 2).await?;
    old.client.batch_execute("commit").await?;
    assert_eq!(
        (next_offsets(stream.database()).await?, row_count(stream.database()).await?),
        (vec![1, 0], 2)
    );

    // The right token at a wrong offset is as old.
    let slot = old.stage(1).await?;
    let merged = old.merge(Some(slot), &[(0, &kept)], 1).await;
    let error = merged.err().context("an old offset was good enough")?;
    assert_eq!(error.code().map(SqlState::code), Some("FB001"));
    old.client.batch_execute("rollback").await?;
    assert_eq!(row_count(stream.database()).await?, 2);

    // So is a token of a transaction that rolled its claim back.
    new.client.batch_execute("begin").await?;
    let undone = new.claim(1, "2 s").await?;
    new.client.batch_execute("rollback").await?;
    new.client.batch_execute("begin").await?;
    let error = new.merge(None, &[(1, &undone)], 0).await.err().context("an undone claim")?;
    assert_eq!(error.code().map(SqlState::code), Some("FB001"));
    new.client.batch_execute("rollback").await?;
    new.merge(None, &[(1, &taken)], 0).await?;
    assert_eq!(next_offsets(stream.database()).await?, [1, 1]);
    Ok(())
}

#[tokio::test]
async fn a_claim_ends_the_session_that_holds_its_row_and_only_that() -> Result<()> {
    let (stream, claimants) = by_hand("holder").await?;
    let database = stream.database();
    let [holder, other, idle, next] = claimants.as_slice() else { unreachable!() };
    // One session claimed before and is idle, one holds the row, one holds another row.
    idle.claim(0, "2 s").await?;
    let tokens = (holder.claim(0, "2 s").await?, other.claim(1, "2 s").await?);
    let slot = holder.stage(2).await?;
    holder.merge(Some(slot), &[(0, &tokens.0)], 2).await?;
    other.client.batch_execute("begin").await?;
    other.merge(None, &[(1, &tokens.1)], 0).await?;

    let started = Instant::now();
    let token = next.claim(0, "300 ms").await?;
    ensure!(started.elapsed() >= Duration::from_millis(300), "no grace time was given");
    wait::until("the holder's session to end", || async {
        Ok((!is_alive(database, holder.backend).await?).then_some(()))
    })
    .await?;
    ensure!(holder.client.batch_execute("commit").await.is_err(), "the holder has committed");
    assert_eq!((next_offsets(database).await?, row_count(database).await?), (vec![0, 0], 0));

    other.client.batch_execute("commit").await.context("the bystander's commit")?;
    idle.client.batch_execute("select").await.context("the former claimant")?;
    next.merge(None, &[(0, &token)], 0).await?;
    assert_eq!(next_offsets(database).await?, [1, 1]);
    Ok(())
}

/// A session that holds the row without having claimed it is nobody's zombie: it may be a DBA's.
#[tokio::test]
async fn a_claim_ends_no_session_that_is_not_the_claimants() -> Result<()> {
    let (stream, claimants) = by_hand("bystander").await?;
    let database = stream.database();
    let [first, claimant, next, ..] = claimants.as_slice() else { unreachable!() };
    first.claim(0, "2 s").await?;
    let administrator = database.connect_primary().await?;
    administrator.batch_execute("begin; select from forebay.progress for update").await?;
    let error = next.claim(0, "50 ms").await.err().context("the row is locked")?;
    assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{error}");
    administrator.batch_execute("commit").await.context("the administrator's session")?;

    // The same process id is not enough: pids come again.
    let token = claimant.claim(0, "2 s").await?;
    let sql = "update forebay.progress set backend_start = backend_start - interval '1 day'";
    database.primary().batch_execute(sql).await?;
    claimant.client.batch_execute("begin").await?;
    claimant.merge(None, &[(0, &token)], 0).await?;
    let error = next.claim(0, "50 ms").await.err().context("the row is locked")?;
    assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{error}");
    claimant.client.batch_execute("commit").await.context("the claimant's session")?;
    assert_eq!(next_offsets(database).await?, [1]);
    Ok(())
}
