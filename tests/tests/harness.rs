//! The harness itself: what it starts works, and what it starts goes.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Message, Postgres, Producer, Stack, Topic, account, postgres::THROW_AWAY, wait,
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

#[tokio::test]
async fn the_replica_streams_what_the_primary_writes() -> Result<()> {
    let stack = Stack::from_env()?;
    let database =
        Database::create_empty(stack.primary(), Some(stack.replica()), "streams").await?;
    database.primary().batch_execute("create table t as select 1 as id").await?;
    let replica = database.connect_replica().await?;
    let id: i32 = replica.query_one("select id from t", &[]).await?.get(0);
    assert_eq!(id, 1);
    database.primary().execute("update t set id = 2", &[]).await?;
    database.wait_until_replayed().await?;
    let id: i32 = replica.query_one("select id from t", &[]).await?.get(0);
    assert_eq!(id, 2);
    Ok(())
}

#[tokio::test]
async fn a_database_has_the_extension_and_a_writer_role() -> Result<()> {
    let stack = Stack::from_env()?;
    let database = Database::create(&stack, "extension").await?;
    let replica = database.connect_replica_as(database.writer_role()).await?;
    let sql = "select extname::text, pg_has_role('forebay_writer', 'usage'), \
               (select rolsuper from pg_roles where rolname = current_user) \
               from pg_extension where extname = 'forebay'";
    let row = replica.query_one(sql, &[]).await?;
    let (extension, member, superuser): (&str, bool, bool) = (row.get(0), row.get(1), row.get(2));
    assert_eq!((extension, member, superuser), ("forebay", true, false));
    Ok(())
}

#[tokio::test]
async fn a_topic_gives_back_what_was_produced() -> Result<()> {
    let stack = Stack::from_env()?;
    let topic = Topic::create(stack.kafka(), "round_trip", 2).await?;
    let producer = Producer::new(stack.kafka())?;
    let sent = producer.send(&topic, 1, Some(b"key"), Some(b"payload")).await?;
    assert_eq!((sent.partition, sent.offset), (1, 0));
    let payloads: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let messages = payloads.iter().map(|payload| Message {
        partition: 1,
        payload: Some(payload.as_bytes()),
        ..Message::default()
    });
    let sent = producer.send_all(&topic, messages).await?;
    assert!(sent.iter().map(|delivery| delivery.offset).eq(1..=1000));

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka())
        .set("group.id", topic.name())
        .create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic.name(), 1, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    let read = || {
        let message = consumer.poll(wait::LIMIT).context("a message")??;
        Ok::<_, anyhow::Error>(message.payload().map(<[u8]>::to_vec))
    };
    assert_eq!(read()?.as_deref(), Some(&b"payload"[..]));
    for payload in &payloads {
        assert_eq!(read()?.as_deref(), Some(payload.as_bytes()));
    }
    Ok(())
}

#[tokio::test]
async fn private_servers_crash_come_back_and_are_promoted() -> Result<()> {
    let stack = Stack::from_env()?;
    let directory = stack.directory("private")?;
    let mut primary = Postgres::primary(&directory, "primary", THROW_AWAY).await?;
    let replica = Postgres::replica(&directory, "replica", primary.endpoint(), &[]).await?;
    let mut database =
        Database::create_empty(primary.endpoint(), Some(replica.endpoint()), "private").await?;
    database.primary().batch_execute("create table t as select 1 as id").await?;
    let on_replica = database.connect_replica().await?;

    primary.kill().await?;
    primary.start().await?;
    database.reconnect(primary.endpoint()).await?;
    let backend = database.primary().query_one("select pg_backend_pid()", &[]).await?.get(0);
    primary.kill_backend(backend).await?;
    database.reconnect(primary.endpoint()).await?;
    database.primary().execute("update t set id = 2", &[]).await?;
    database.wait_until_replayed().await?;

    replica.promote().await?;
    on_replica.execute("update t set id = id + 1", &[]).await?;
    let id: i32 = on_replica.query_one("select id from t", &[]).await?.get(0);
    assert_eq!(id, 3);
    Ok(())
}

/// Starts a supervisor of its own and kills it: nothing that it started may live on.
#[tokio::test]
async fn nothing_outlives_a_killed_supervisor() -> Result<()> {
    // Its stack is another one; this makes sure that there is a supervisor at all.
    Stack::from_env()?;
    // The command's output is the scratch directory, which the process ids are taken from.
    let mut command = account::own_command(env!("CARGO_BIN_EXE_forebay-stack"));
    command.args(["run", "--", "sh", "-c", "echo $FOREBAY_TEST_SCRATCH; exec sleep 1000"]);
    let mut supervisor = command.stdout(Stdio::piped()).spawn()?;
    let output = supervisor.stdout.take().context("its output")?;
    let scratch = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map(|_| line.trim().to_owned())
    });
    let scratch = scratch.await??;

    let expected = ["java", "postgres", "walreceiver", "walsender", "checkpointer", "sleep"];
    let descendants = wait::until(format!("{expected:?} to run"), async || {
        let found = descendants(supervisor.id())?;
        let names: Vec<String> = found.iter().map(|id| command_line(id)).collect();
        let runs = |wanted: &&str| names.iter().any(|name| name.contains(wanted));
        Ok(expected.iter().all(runs).then_some(found))
    })
    .await?;
    supervisor.kill()?;
    supervisor.wait()?;
    wait::until_within(Duration::from_secs(20), "its descendants to end", || {
        let left = descendants.iter().filter(|id| !command_line(id).is_empty()).count();
        std::future::ready(Ok((left == 0).then_some(())))
    })
    .await?;

    // The next one to start removes what was left on the disk.
    ensure!(Path::new(&scratch).exists(), "{scratch} is gone before anybody could remove it");
    let mut next = Command::new(env!("CARGO_BIN_EXE_forebay-stack"));
    next.args(["run", "--", "false"]);
    let status = tokio::task::spawn_blocking(move || next.status()).await??;
    assert_eq!(status.code(), Some(1), "the exit code is the command's");
    ensure!(!Path::new(&scratch).exists(), "{scratch} is still there");
    Ok(())
}

fn descendants(parent: u32) -> Result<Vec<String>> {
    let mut found: Vec<String> = vec![parent.to_string()];
    let mut next = 0;
    while let Some(id) = found.get(next) {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        found.extend(children.split_whitespace().map(str::to_owned));
        next += 1;
    }
    found.remove(0);
    Ok(found)
}

/// Empty for a process that is gone, or has ended.
fn command_line(id: &str) -> String {
    fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default().replace('\0', " ")
}
