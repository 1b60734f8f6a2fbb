//! `forebay.wait_for` and `forebay.outcome`, on a replica.
#![forbid(unsafe_code)]

mod stream;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Postgres, Stack, postgres::THROW_AWAY, wait};
use stream::{Stream, outcome_of};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, error::SqlState, types::Type};

const FOREVER: &str = "1 hour";

/// The ways in which a client can call it.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Simple,
    Extended,
    Prepared,
}

const PROTOCOLS: [Protocol; 3] = [Protocol::Simple, Protocol::Extended, Protocol::Prepared];

async fn database(prefix: &str) -> Result<Database> {
    Database::create(&Stack::from_env()?, prefix).await
}

async fn call(
    client: &Client,
    protocol: Protocol,
    event_offset: i64,
    timeout: &str,
) -> Result<String> {
    let sql = format!("call forebay.wait_for('source', 'topic', 0, {event_offset}, '{timeout}')");
    let rows = match protocol {
        Protocol::Simple => {
            let messages = client.simple_query(&sql).await?;
            let row = messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            return row.context("a row");
        }
        Protocol::Extended => {
            client
                .query_typed(&sql, &[] as &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)])
                .await?
        }
        Protocol::Prepared => {
            let statement = client.prepare(&sql).await?;
            client.query(&statement, &[]).await?
        }
    };
    Ok(rows.first().context("a row")?.get(0))
}

fn sqlstate(error: &anyhow::Error) -> Option<SqlState> {
    error.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.code().cloned())
}

/// Waits until the session sleeps in `wait_for` and holds no snapshot. The look that every other
/// transaction of the cluster causes takes one, and gives it back.
async fn wait_until_asleep_without_snapshot(watcher: &Client, pid: i32) -> Result<()> {
    wait::until(format!("backend {pid} waiting without a snapshot"), async || {
        let sql = "select from pg_stat_activity where pid = $1 and state = 'active'
                   and wait_event_type = 'Extension' and backend_xmin is null";
        Ok(watcher.query_opt(sql, &[&pid]).await?.map(drop))
    })
    .await
}

async fn backend_pid(client: &Client) -> Result<i32> {
    Ok(client.query_one("select pg_backend_pid()", &[]).await?.get(0))
}

#[tokio::test]
async fn waiting_holds_no_snapshot_and_ends_with_the_outcome() -> Result<()> {
    let database = database("wait_merged").await?;
    let mut stream = Stream::claim(database.primary()).await?;
    let watcher = database.connect_replica().await?;
    for protocol in PROTOCOLS {
        for in_block in [false, true] {
            let waiter = database.connect_replica().await?;
            let pid = backend_pid(&waiter).await?;
            if in_block {
                waiter.batch_execute("begin").await?;
            }
            let event_offset = stream.next_offset();
            let waiting = call(&waiter, protocol, event_offset, FOREVER);
            let merging = async {
                wait_until_asleep_without_snapshot(&watcher, pid).await?;
                stream.merge_one().await
            };
            let (outcome, ()) = tokio::try_join!(waiting, merging)
                .with_context(|| format!("{protocol:?}, in a block: {in_block}"))?;
            ensure!(outcome == "merged", "{protocol:?}, in a block: {in_block}: {outcome}");
            let next_offset: i64 =
                waiter.query_one("select next_offset from forebay.watermark", &[]).await?.get(0);
            ensure!(next_offset > event_offset, "the next statement sees {next_offset}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_rejected_event_is_rejected_and_its_neighbours_are_merged() -> Result<()> {
    let database = database("wait_rejected").await?;
    let mut stream = Stream::claim(database.primary()).await?;
    let replica = database.connect_replica().await?;
    assert_eq!(outcome_of(&replica, 0).await?, None);
    stream.merge_one().await?;
    stream.reject_one().await?;
    assert_eq!(call(&replica, Protocol::Simple, 1, FOREVER).await?, "rejected");
    assert_eq!(call(&replica, Protocol::Simple, 0, FOREVER).await?, "merged");
    assert_eq!(outcome_of(&replica, 1).await?.as_deref(), Some("rejected"));
    assert_eq!(outcome_of(&replica, 0).await?.as_deref(), Some("merged"));
    assert_eq!(outcome_of(&replica, 2).await?, None);
    assert_eq!(call(database.primary(), Protocol::Simple, 1, FOREVER).await?, "rejected");
    Ok(())
}

#[tokio::test]
async fn it_ends_at_the_timeout_and_not_before() -> Result<()> {
    let database = database("wait_timeout").await?;
    let _stream = Stream::claim(database.primary()).await?;
    let replica = database.connect_replica().await?;
    let started = Instant::now();
    assert_eq!(call(&replica, Protocol::Prepared, 0, "300 milliseconds").await?, "timeout");
    ensure!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    assert_eq!(call(&replica, Protocol::Prepared, 0, "0").await?, "timeout");
    assert_eq!(call(&replica, Protocol::Prepared, 0, "-1 s").await?, "timeout");
    Ok(())
}

#[tokio::test]
async fn it_can_be_cancelled() -> Result<()> {
    let database = database("wait_cancel").await?;
    let _stream = Stream::claim(database.primary()).await?;
    let watcher = database.connect_replica().await?;
    let waiter = database.connect_replica().await?;
    let pid = backend_pid(&waiter).await?;
    let cancel = waiter.cancel_token();
    let cancelling = async {
        wait_until_asleep_without_snapshot(&watcher, pid).await?;
        cancel.cancel_query(NoTls).await.context("cancel")
    };
    let (outcome, cancelled) =
        tokio::join!(call(&waiter, Protocol::Simple, 0, FOREVER), cancelling);
    cancelled?;
    let error = outcome.err().context("an error")?;
    assert_eq!(sqlstate(&error), Some(SqlState::QUERY_CANCELED), "{error:#}");
    assert_eq!(call(&waiter, Protocol::Simple, 0, "1 ms").await?, "timeout");
    Ok(())
}

/// Vacuum on the primary removes rows that a snapshot on the replica could still see. Replay would
/// wait for such a snapshot (30 s, then cancel it), and the waiter would wait for replay.
#[tokio::test]
async fn waiting_does_not_hold_up_replay() -> Result<()> {
    let database = database("wait_replay").await?;
    let mut stream = Stream::claim(database.primary()).await?;
    database
        .primary()
        .batch_execute("create table t as select generate_series(1, 1000) as id")
        .await?;
    let watcher = database.connect_replica().await?;
    let waiter = database.connect_replica().await?;
    let pid = backend_pid(&waiter).await?;
    let merging = async {
        wait_until_asleep_without_snapshot(&watcher, pid).await?;
        database.primary().batch_execute("delete from t").await?;
        database.wait_until_replayed().await?;
        wait_until_asleep_without_snapshot(&watcher, pid).await?;
        database.primary().batch_execute("vacuum t").await?;
        stream.merge_one().await
    };
    let (outcome, ()) = tokio::try_join!(call(&waiter, Protocol::Extended, 0, FOREVER), merging)?;
    assert_eq!(outcome, "merged");
    Ok(())
}

/// Every commit makes the waiters look, and some look is under way whenever replay meets a row that
/// vacuum removed. Replay must wait for that look at most, and not for its transaction: that would
/// not end before the merge, which replay has not met yet, and the waiter would be cancelled.
#[tokio::test]
async fn looking_does_not_hold_up_replay() -> Result<()> {
    const WAITERS: usize = 12;
    const VACUUMS: usize = 150;
    let directory = Stack::from_env()?.directory("wait_look")?;
    let primary = Postgres::primary(&directory, "primary", THROW_AWAY).await?;
    let settings = [THROW_AWAY, &[("max_standby_streaming_delay", "3s")]].concat();
    let replica = Postgres::replica(&directory, "replica", primary.endpoint(), &settings).await?;
    let database =
        Database::create_on(primary.endpoint(), Some(replica.endpoint()), "wait_look").await?;
    let mut stream = Stream::claim(database.primary()).await?;
    database
        .primary()
        .batch_execute(
            "create table t (id int4) with (autovacuum_enabled = off); insert into t values (0)",
        )
        .await?;
    database.wait_until_replayed().await?;
    let watcher = database.connect_replica().await?;
    let mut waiting = JoinSet::new();
    for _ in 0..WAITERS {
        let waiter = database.connect_replica().await?;
        let pid = backend_pid(&waiter).await?;
        waiting.spawn(async move { call(&waiter, Protocol::Simple, 0, FOREVER).await });
        wait_until_asleep_without_snapshot(&watcher, pid).await?;
    }
    for _ in 0..VACUUMS {
        database.primary().batch_execute("update t set id = id + 1").await?;
        database.primary().batch_execute("vacuum t").await?;
    }
    stream.merge_one().await?;
    while let Some(outcome) = waiting.join_next().await {
        assert_eq!(outcome??, "merged");
    }
    Ok(())
}

#[tokio::test]
async fn it_refuses_where_it_would_hold_a_snapshot() -> Result<()> {
    let database = database("wait_refuses").await?;
    let _stream = Stream::claim(database.primary()).await?;
    database
        .primary()
        .batch_execute(
            "create function waits() returns text language plpgsql as $$
             declare outcome text;
             begin
                 call forebay.wait_for('source', 'topic', 0, 0, '1 s', outcome);
                 return outcome;
             end $$",
        )
        .await?;
    let replica = database.connect_replica().await?;
    let calls = "call forebay.wait_for('source', 'topic', 0, 0, '1 s')";
    for refused in [
        format!("begin isolation level repeatable read; {calls}"),
        "select waits()".to_owned(),
        format!("begin; declare c cursor for select 1; fetch c; {calls}"),
    ] {
        let steps: Vec<_> = refused.split("; ").collect();
        let (last, before) = steps.split_last().context("a statement")?;
        for step in before {
            replica.batch_execute(step).await?;
        }
        let error = replica.batch_execute(last).await.err().context(refused.clone())?;
        assert_eq!(
            error.code(),
            Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE),
            "{refused}: {error}"
        );
        let hint = error.as_db_error().and_then(|error| error.hint());
        ensure!(hint.is_some(), "{refused}: no hint");
        replica.batch_execute("rollback").await?;
    }
    let error = replica.batch_execute("call forebay.wait_for(null, 't', 0, 0, '1 s')").await.err();
    let code = error.as_ref().and_then(|error| error.code());
    assert_eq!(code, Some(&SqlState::NULL_VALUE_NOT_ALLOWED));
    assert_eq!(call(&replica, Protocol::Simple, 0, "1 ms").await?, "timeout");
    Ok(())
}

#[tokio::test]
async fn a_reader_may_wait_and_may_not_read_dead_letters() -> Result<()> {
    let database = database("wait_reader").await?;
    let mut stream = Stream::claim(database.primary()).await?;
    let reader = format!("{}_reader", database.name());
    database
        .primary()
        .batch_execute(&format!("create role {reader} login in role forebay_reader"))
        .await?;
    stream.reject_one().await?;
    let replica = database.connect_replica_as(&reader).await?;
    assert_eq!(call(&replica, Protocol::Prepared, 0, FOREVER).await?, "rejected");
    assert_eq!(outcome_of(&replica, 0).await?.as_deref(), Some("rejected"));
    let row =
        replica.query_one("select next_offset, in_recovery from forebay.watermark", &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (1, true));
    for forbidden in [
        "select * from forebay.dead_letter",
        "select * from forebay.stage('{}')",
        "select forebay.merge(null, 'source', '{}', '{}')",
        "select forebay.merge_staged(null, '{}', '{}', '{}', null, '{}')",
        "select * from forebay.claim('source', 'topic', '{0}', '{0}', 'thief')",
        "select forebay.drop_target('pg_class')",
    ] {
        let error = replica.batch_execute(forbidden).await.err().context(forbidden)?;
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{forbidden}: {error}");
    }
    Ok(())
}
