//! `forebay status`: what it shows, and what when a part is down.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    NumberedStream, Producer, Stack, Writer, WriterConfig,
    command::{Ended, status},
    numbered_stream::SOURCE,
    port,
};
use serde_json::Value;

/// A source with two partitions: four events merged, one rejected, three to come.
async fn source(stack: &Stack, prefix: &str) -> Result<NumberedStream> {
    let mut stream = NumberedStream::create(stack, prefix, 2).await?;
    let mut writer = Writer::start(stack, stream.config().set("rejections.max_share", 1.0))?;
    stream.send(4).await?;
    stream.wait_until_all_merged().await?;
    let bad = Producer::new(stack.kafka())?.send(stream.topic(), 1, None, Some(b"{")).await?;
    stream.database().wait_until_merged(SOURCE, stream.topic(), bad).await?;
    writer.stop().await?;
    stream.send(3).await?;
    stream.database().wait_until_replayed().await?;
    Ok(stream)
}

async fn json(stack: &Stack, config: &WriterConfig, arguments: &[&str]) -> Result<(Ended, Value)> {
    let ended = status(stack, config, &[&["--json"], arguments].concat()).await?;
    let report = serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))?;
    Ok((ended, report))
}

#[tokio::test]
async fn all_that_is_there_is_shown() -> Result<()> {
    let stack = Stack::from_env()?;
    let stream = source(&stack, "status").await?;
    let (ended, report) = json(&stack, &stream.config(), &[]).await?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (partition, next, lag) in [(0, 2, 2), (1, 3, 1)] {
        let found = &report["partitions"][partition];
        assert_eq!(found["topic"], stream.topic().name(), "{report}");
        assert_eq!(found["partition"], partition);
        assert_eq!((&found["next_offset"], &found["lag"]), (&next.into(), &lag.into()), "{found}");
        assert_eq!(found["end"], next + lag);
        assert_eq!(found["next_offset_on_replicas"][0], next, "{found}");
        let age = found["age_seconds"].as_f64().context("no age")?;
        ensure!((0.0..600.0).contains(&age), "{age}");
        ensure!(found["claimant"].as_str().is_some_and(|claimant| claimant.contains(':')));
    }
    assert_eq!(report["primary"]["targets"][0]["relation"], "public.numbered");
    assert_eq!(report["primary"]["targets"][0]["on_conflict"], "append");
    assert_eq!(report["replicas"][0]["replay"]["is_paused"], false);
    ensure!(report["replicas"][0]["replay"]["behind_bytes"].is_u64(), "{report}");
    assert_eq!(report["primary"]["dead_letters"], Value::Null, "the writer's role sees them");

    let admin = stream.database().create_member("forebay_admin").await?;
    let (_, report) = json(&stack, &stream.config(), &["--dsn", &admin]).await?;
    let reason = &report["primary"]["dead_letters"][0];
    assert_eq!((&reason["count"], &reason["sqlstate"]), (&1.into(), &"22P02".into()), "{report}");

    let ended = status(&stack, &stream.config(), &["--dsn", &admin]).await?;
    assert_eq!(ended.code, Some(0));
    for part in
        ["source numbered\n", "replayed to ", "\ndead letters: 1\n", "public.numbered  append"]
    {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let line = ended.stdout.lines().find(|line| line.contains(" 1          4    3 "));
    assert!(line.is_some_and(|line| line.contains(" ago ")), "{}", ended.stdout);
    let ended = status(&stack, &stream.config(), &[]).await?;
    assert!(ended.stdout.contains("dead letters: this role may not see them"), "{ended:?}");

    let mut writer = Writer::start(&stack, stream.config())?;
    writer.wait_until_ready().await?;
    let (_, report) = json(&stack, &stream.config(), &["--dsn", &admin]).await?;
    let writers = report["primary"]["writers"].as_array().context("no writers")?;
    let live = writers.iter().filter(|writer| writer["is_live"] == true).count();
    assert_eq!(live, 1, "{report}");
    writer.stop().await
}

/// Each part alone is down; the others are shown.
#[tokio::test]
async fn what_is_down_is_said() -> Result<()> {
    let stack = Stack::from_env()?;
    let stream = source(&stack, "status_down").await?;
    let nobody = port::free()?;
    let nowhere = format!("host=127.0.0.1 port={nobody} dbname=d user=u");
    // It accepts, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = silent.local_addr()?.port();
    let silence = format!("host=127.0.0.1 port={port} dbname=d user=u");
    let (broker, primary, replica) = (
        stream.config().set("kafka.bootstrap_servers", format!("127.0.0.1:{nobody}")),
        stream.config().set("database.dsn", nowhere.clone()),
        stream.config().set("database.replicas", vec![nowhere]),
    );
    for (config, problem, is_known) in [
        (broker, "broker 127.0.0.1:", ["next_offset", "age_seconds"]),
        (primary, "primary 127.0.0.1:", ["end", "topic"]),
        (replica, "replica 127.0.0.1:", ["lag", "end"]),
        (stream.config().set("database.dsn", silence), "primary 127.0.0.1:", ["end", "topic"]),
    ] {
        let (ended, report) = json(&stack, &config, &[]).await?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let problems = report["problems"].as_array().context("no problems")?;
        assert_eq!(problems.len(), 1, "{report}");
        ensure!(problems[0].as_str().is_some_and(|said| said.starts_with(problem)), "{report}");
        assert_eq!(report["partitions"].as_array().map(Vec::len), Some(2), "{report}");
        for column in is_known {
            ensure!(!report["partitions"][1][column].is_null(), "{column}: {report}");
        }
        let ended = status(&stack, &config, &[]).await?;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stdout.contains(&format!("\nproblem: {problem}")), "{}", ended.stdout);
    }
    Ok(())
}

/// A server that is a primary of its own is no replica, whatever the configuration says.
#[tokio::test]
async fn a_replica_that_is_none_is_a_problem() -> Result<()> {
    let stack = Stack::from_env()?;
    let stream = source(&stack, "no_replica").await?;
    let database = stream.database();
    let dsn = database.primary_endpoint().dsn(database.name(), database.writer_role());
    let config = stream.config().set("database.replicas", vec![dsn]);
    let ended = status(&stack, &config, &[]).await?;
    assert!(ended.code == Some(1) && ended.stdout.contains("it is no replica"), "{ended:?}");
    Ok(())
}
