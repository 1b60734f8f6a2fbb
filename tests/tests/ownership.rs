//! Who owns which partition: writers and workers share them through the database.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, NumberedStream, Stack, Writer, metrics::Metrics, numbered_stream::SOURCE, wait,
};
use tokio_postgres::Client;

async fn owned(writer: &Writer) -> Result<f64> {
    Metrics::of(writer).await?.get("forebay_owned_partitions", &[])
}

/// Waits until these writers own so many partitions each.
async fn wait_until_owned(writers: &[(&Writer, f64)]) -> Result<()> {
    for (writer, expected) in writers {
        wait::until(format!("a writer to own {expected} partitions"), || async move {
            // It does not answer yet when it has just been started.
            Ok(owned(writer).await.ok().filter(|owned| owned == expected).map(drop))
        })
        .await
        .with_context(|| writer.output().tail())?;
    }
    Ok(())
}

/// By session: how many partitions it owns.
async fn sessions(
    database: &Database,
    partitions: &[i32],
    topic: &str,
) -> Result<BTreeMap<i32, usize>> {
    let sql = "select backend_pid from forebay.owners($1, $2, $3)";
    let rows = database.primary().query(sql, &[&SOURCE, &topic, &partitions]).await?;
    let mut sessions = BTreeMap::new();
    for row in rows {
        *sessions.entry(row.get(0)).or_default() += 1;
    }
    Ok(sessions)
}

async fn merge_some(stream: &mut NumberedStream, writer: &Writer) -> Result<()> {
    stream.send(100).await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    stream.check_complete().await
}

#[tokio::test]
async fn writers_that_join_and_leave_have_their_share() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "share", 5).await?;
    let mut first = Writer::start(&stack, stream.config())?;
    wait_until_owned(&[(&first, 5.0)]).await?;
    merge_some(&mut stream, &first).await?;

    let mut second = Writer::start(&stack, stream.config())?;
    wait_until_owned(&[(&first, 3.0), (&second, 2.0)]).await?;
    merge_some(&mut stream, &second).await?;
    let mut third = Writer::start(&stack, stream.config())?;
    wait_until_owned(&[(&first, 2.0), (&second, 2.0), (&third, 1.0)]).await?;
    merge_some(&mut stream, &third).await?;
    let given_back = Metrics::of(&first).await?.get("forebay_give_backs_total", &[])?;
    assert_eq!(given_back, 3.0, "what the first had to give back");

    // It tells the lag of what it owns, and of nothing else.
    let text = first.get("/metrics").await?.body;
    let lags = text.lines().filter(|line| line.starts_with("forebay_consumer_lag_offsets{"));
    assert_eq!(lags.count(), 2, "{text}");

    // One ends in peace, one is killed.
    first.stop().await?;
    wait_until_owned(&[(&second, 3.0), (&third, 2.0)]).await?;
    merge_some(&mut stream, &second).await?;
    second.kill()?;
    wait_until_owned(&[(&third, 5.0)]).await?;
    merge_some(&mut stream, &third).await?;

    // With more writers than partitions, some stand by, and are ready all the same.
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(Writer::start(&stack, stream.config())?);
    }
    for writer in &mut others {
        writer.wait_until_ready().await?;
    }
    wait_until_owned(&[(&third, 1.0)]).await?;
    let known = &others;
    wait::until("one of the writers to stand by", || async move {
        let mut all = Vec::new();
        for writer in known {
            all.push(owned(writer).await?);
        }
        all.sort_by(f64::total_cmp);
        Ok((all == [0.0, 1.0, 1.0, 1.0, 1.0]).then_some(()))
    })
    .await?;
    merge_some(&mut stream, &third).await?;
    for writer in &mut others {
        writer.stop().await?;
    }
    third.stop().await
}

#[tokio::test]
async fn workers_of_a_process_share_its_partitions() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "workers", 5).await?;
    let config = stream.config().set("workers.count", 3);
    let mut writer = Writer::start(&stack, config.clone())?;
    wait_until_owned(&[(&writer, 5.0)]).await?;
    merge_some(&mut stream, &writer).await?;
    let topic = stream.topic().name().to_owned();
    let found = sessions(stream.database(), &[0, 1, 2, 3, 4], &topic).await?;
    let mut shares: Vec<usize> = found.values().copied().collect();
    shares.sort_unstable();
    assert_eq!(shares, [1, 2, 2], "partitions by session");

    // One of its sessions is ended: that worker goes on with another, the others are unharmed.
    let (ended, _) = found.iter().next().context("a session")?;
    let end = "select pg_terminate_backend($1, 10000)";
    stream.database().primary().execute(end, &[ended]).await?;
    merge_some(&mut stream, &writer).await?;
    let after = sessions(stream.database(), &[0, 1, 2, 3, 4], &topic).await?;
    assert_eq!(after.values().sum::<usize>(), 5);
    assert_eq!(found.keys().filter(|session| after.contains_key(session)).count(), 2);

    let mut other = Writer::start(&stack, config)?;
    wait_until_owned(&[(&writer, 3.0), (&other, 2.0)]).await?;
    merge_some(&mut stream, &other).await?;
    writer.stop().await?;
    wait_until_owned(&[(&other, 5.0)]).await?;
    merge_some(&mut stream, &other).await?;
    other.stop().await
}

/// Fault 22. What was produced into a new partition before it was seen is merged too.
#[tokio::test]
async fn added_partitions_are_taken_up_from_their_begin() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "grow", 2).await?;
    let mut writers = [
        Writer::start(&stack, stream.config())?,
        Writer::start(&stack, stream.config().set("workers.count", 2))?,
    ];
    let [first, second] = &writers;
    wait_until_owned(&[(first, 1.0), (second, 1.0)]).await?;
    merge_some(&mut stream, first).await?;
    stream.grow(5).await?;
    merge_some(&mut stream, first).await?;
    let total = owned(first).await? + owned(second).await?;
    assert_eq!(total, 5.0, "partitions that are owned");
    for writer in &mut writers {
        writer.stop().await?;
    }
    Ok(())
}

/// Whoever holds a partition's lock without being a writer's session is nobody to end.
#[tokio::test]
async fn a_lock_that_is_no_writers_is_waited_for() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "stranger", 2).await?;
    let stranger = stream.database().connect_primary().await?;
    let topic = stream.topic().name().to_owned();
    let sql = "select pg_advisory_lock(forebay.ownership_key($1, $2, 0))";
    stranger.query(sql, &[&SOURCE, &topic]).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    wait_until_owned(&[(&writer, 1.0)]).await?;
    stream.send(100).await?;
    stream.wait_until_merged(50).await?;
    ensure!(
        stream.database().next_offset(SOURCE, stream.topic(), 0).await?.is_none(),
        "a partition was claimed that another owns"
    );
    drop(stranger);
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    stream.check_complete().await?;
    writer.stop().await
}

/// A session that a worker has given up, and whose end the server has not noticed, keeps nobody from
/// its partitions.
#[tokio::test]
async fn a_worker_has_one_session_at_a_time() -> Result<()> {
    let stack = Stack::from_env()?;
    let database = Database::create(&stack, "sessions").await?;
    let role = database.writer_role();
    let [given_up, sibling, next] = [
        database.connect_primary_as(role).await?,
        database.connect_primary_as(role).await?,
        database.connect_primary_as(role).await?,
    ];
    let writer = "00000000-0000-0000-0000-000000000007";
    let open = |worker: i32| format!("select forebay.open_session('{writer}', {worker})");
    let own = "select partition from forebay.own('s', 't', array[0, 1]) where taken";
    let owned = async |client: &Client| -> Result<Vec<i32>> {
        Ok(client.query(own, &[]).await?.iter().map(|row| row.get(0)).collect())
    };
    given_up.batch_execute(&open(0)).await?;
    assert_eq!(owned(&given_up).await?, [0, 1]);
    ensure!(owned(&given_up).await?.is_empty(), "taken twice");
    sibling.batch_execute(&open(1)).await?;
    ensure!(owned(&sibling).await?.is_empty(), "what another worker owns was taken");
    next.batch_execute(&open(0)).await?;
    assert_eq!(owned(&next).await?, [0, 1]);
    ensure!(given_up.batch_execute("select").await.is_err(), "the session lives on");
    sibling.batch_execute("select").await.context("the other worker's session")?;
    let given_back = "select forebay.disown('s', 't', array[1, 2])";
    let rows = next.query(given_back, &[]).await?;
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1]);
    assert_eq!(owned(&sibling).await?, [1]);
    Ok(())
}
