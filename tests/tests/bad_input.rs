//! Bad input: a configuration, a database or a broker that is not as it should be is named, each
//! in its own words; a message that is none is a dead letter, and never more than that.

mod junk;

use std::fs;

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Broker, Database, Message, Postgres, Producer, Stack, Topic, Writer, WriterConfig,
    butler_sample,
    command::{self, Ended},
    metrics::Metrics,
    port,
    postgres::THROW_AWAY,
    stack::unique,
    wait,
};

const SOURCE: &str = "bad_input";
const SECRET: &str = "correct-horse-battery-staple";

/// A database with one target, and a topic.
async fn simple(stack: &Stack, prefix: &str) -> Result<(Database, Topic, WriterConfig)> {
    let database = Database::create(stack, prefix).await?;
    let sql = "create table t (id int4 primary key, j jsonb, note text); \
               select forebay.add_target('t')";
    database.primary().batch_execute(sql).await?;
    // Junk may be larger than the broker takes by default.
    let settings = [("max.message.bytes", "10000000")];
    let topic = Topic::create_with(stack.kafka(), &unique(prefix), 1, &settings).await?;
    let config = WriterConfig::new(stack, &database, SOURCE, &topic).flat("public.t");
    Ok((database, topic, config))
}

/// Checks an exit code, and that every one of these words was said.
fn expect(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.said());
    for word in words {
        assert!(ended.said().contains(word), "no `{word}` in: {}", ended.said());
    }
    assert!(!ended.said().contains("panicked"), "{}", ended.said());
}

/// Every problem at once, each with its line and what to do; and no secret.
#[tokio::test]
async fn every_problem_of_a_configuration_is_told_at_once() -> Result<()> {
    let stack = Stack::from_env()?;
    let path = stack.scratch().join(format!("{}.toml", unique("bad")));
    fs::write(
        &path,
        format!(
            "[source]\n\
             name = \"\"\n\
             topics = \"one\"\n\
             start = \"latest\"\n\
             [kafka]\n\
             bootstrap_servers = \"\"\n\
             [database]\n\
             dsn = \"host=h user=u password={SECRET} sslmoode=x\"\n\
             replicas = [\"nonsense {SECRET}\"]\n\
             [format]\n\
             kind = \"avro\"\n\
             [batch]\n\
             max_rows = -1\n\
             max_byte = \"1 MiB\"\n\
             [http]\n\
             listen = \"everywhere\"\n\
             [log]\n\
             level = 3\n"
        ),
    )?;
    let file = path.to_str().context("path")?;
    let environment = [
        ("FOREBAY_REJECTIONS_MAX_SHARE".to_owned(), "most".to_owned()),
        ("FOREBAY_DATABASE_PASWORD".to_owned(), SECRET.to_owned()),
    ];
    for subcommand in ["run", "check"] {
        let variables = environment.iter().map(|(name, value)| (name, value));
        let ended = command::forebay(&stack, &[subcommand, "--config", file], variables).await?;
        expect(&ended, 64, &["FOREBAY_REJECTIONS_MAX_SHARE", "FOREBAY_DATABASE_PASWORD"]);
        for (line, word) in [
            (2, "source.name"),
            (3, "source.topics"),
            (4, "earliest"),
            (6, "kafka.bootstrap_servers"),
            (8, "database.dsn"),
            (9, "database.replicas"),
            (11, "butler"),
            (13, "batch.max_rows"),
            (14, "max_bytes"),
            (16, "http.listen"),
            (18, "log.level"),
        ] {
            let place = format!("{file}:{line}: ");
            let told = ended.stderr.lines().find(|told| told.contains(&place));
            let told = told.with_context(|| format!("{place} in {}", ended.stderr))?;
            ensure!(told.contains(word), "no `{word}` in: {told}");
            ensure!(told.contains("; "), "no advice in: {told}");
        }
        ensure!(!ended.said().contains(SECRET), "{}", ended.said());
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_usage_or_no_file_exits_64() -> Result<()> {
    let stack = Stack::from_env()?;
    let none = [];
    let ended = command::forebay(&stack, &["run", "--config", "/nowhere/f.toml"], none).await?;
    expect(&ended, 64, &["/nowhere/f.toml", "--config"]);
    for arguments in [&["fly"][..], &[], &["run"], &["run", "--confg", "x"]] {
        let ended = command::forebay(&stack, arguments, none).await?;
        expect(&ended, 64, &["forebay"]);
    }
    let ended = command::forebay(&stack, &["--help"], none).await?;
    expect(&ended, 0, &["run", "check"]);
    let path = stack.scratch().join(format!("{}.toml", unique("binary")));
    fs::write(&path, b"\xff\xfe[source]\n")?;
    let file = path.to_str().context("path")?;
    expect(&command::forebay(&stack, &["check", "--config", file], none).await?, 64, &[file]);
    fs::write(&path, b"[source\nname = 3")?;
    expect(&command::forebay(&stack, &["check", "--config", file], none).await?, 64, &[":1"]);
    Ok(())
}

#[tokio::test]
async fn a_good_configuration_passes_the_check() -> Result<()> {
    let stack = Stack::from_env()?;
    let (database, topic, config) = simple(&stack, "good").await?;
    database.wait_until_replayed().await?;
    // The writer may do all that it has to, and not what its readers do.
    let ended = command::check(&stack, &config).await?;
    expect(&ended, 0, &["note: replica", "forebay_reader", "0 problems"]);
    let sql = format!("grant forebay_reader to {}", database.writer_role());
    database.primary().batch_execute(&sql).await?;
    database.wait_until_replayed().await?;
    let ended = command::check(&stack, &config).await?;
    expect(&ended, 0, &["0 problems", topic.name(), "ok: primary", "1 partition"]);
    ensure!(!ended.said().contains("note: "), "{}", ended.said());
    ensure!(!ended.said().contains("problem: "), "{}", ended.said());
    let replica = database.replica_endpoint().context("replica")?;
    let told = ended.stdout.lines().filter(|line| line.starts_with("ok: replica"));
    let told: Vec<&str> = told.collect();
    ensure!(told.len() >= 2, "replica {}: {}", replica.port, ended.said());
    Ok(())
}

/// Both sides and the replica are wrong: all of it is told, in one go, without the password.
#[tokio::test]
async fn the_check_tells_all_problems_at_once() -> Result<()> {
    let stack = Stack::from_env()?;
    let (database, topic, _) = simple(&stack, "all_wrong").await?;
    let empty = Database::create_empty(stack.primary(), Some(stack.replica()), "empty").await?;
    let dsn = |endpoint: &forebay_tests::Endpoint, name: &str| {
        format!("{} password={SECRET}", endpoint.dsn(name, "postgres"))
    };
    let nobody = forebay_tests::Endpoint::own(port::free()?);
    let config = WriterConfig::new(&stack, &empty, SOURCE, &topic)
        .flat("public.t")
        .set("source.topics", vec!["never_made_a".to_owned(), "never_made_b".to_owned()])
        .set("database.replicas", vec![dsn(&nobody, "x"), dsn(stack.primary(), database.name())]);
    let ended = command::check(&stack, &config).await?;
    let words = [
        "never_made_a",
        "never_made_b",
        "create extension forebay",
        "is not in recovery",
        &format!("127.0.0.1:{}", nobody.port),
    ];
    expect(&ended, 1, &words);
    let problems = ended.stdout.lines().filter(|line| line.starts_with("problem: ")).count();
    assert_eq!(problems, 5, "{}", ended.said());
    ensure!(!ended.said().contains(SECRET), "{}", ended.said());
    Ok(())
}

/// What no waiting mends ends `run` with exit code 1; `check` says the same.
#[tokio::test]
async fn what_a_person_must_mend_has_its_own_message() -> Result<()> {
    let stack = Stack::from_env()?;
    let (database, topic, config) = simple(&stack, "mend").await?;
    database.primary().batch_execute("create table u (id int4 primary key)").await?;
    let empty = Database::create_empty(stack.primary(), Some(stack.replica()), "empty").await?;
    let of_empty = WriterConfig::new(&stack, &empty, SOURCE, &topic).flat("public.t");

    let old = Database::create(&stack, "old").await?;
    // As it would stand there if an older release had made it.
    let sql = "update pg_extension set extversion = '0.0.9' where extname = 'forebay'";
    old.primary().batch_execute(sql).await?;
    let of_old = WriterConfig::new(&stack, &old, SOURCE, &topic).flat("public.t");

    let cases: [(WriterConfig, &[&str]); 5] = [
        (of_empty, &["create extension forebay"]),
        (of_old, &["0.0.9", "alter extension forebay update"]),
        (config.clone().flat("public.u"), &["public.u", "forebay.add_target"]),
        (config.clone().flat("public.never_made"), &["public.never_made", "forebay.add_target"]),
        (config.clone().butler("public"), &["schema public", "forebay.butler_add_targets"]),
    ];
    for (config, words) in cases {
        expect(&command::run(&stack, &config).await?, 1, words);
        expect(&command::check(&stack, &config).await?, 1, words);
    }
    let sql = "select count(*) from forebay.progress";
    let claimed: i64 = database.primary().query_one(sql, &[]).await?.get(0);
    assert_eq!(claimed, 0, "nothing is claimed that can't be worked on");
    Ok(())
}

/// What may come by itself is waited for, and named meanwhile; `check` names it too.
#[tokio::test]
async fn a_missing_topic_or_grant_is_named_and_waited_for() -> Result<()> {
    let stack = Stack::from_env()?;
    let (database, topic, config) = simple(&stack, "missing").await?;
    let role = database.writer_role();
    let revoke = format!("revoke forebay_writer from {role}");
    database.primary().batch_execute(&revoke).await?;
    let late = unique("late");
    let config = config
        .set("source.topics", vec![topic.name().to_owned(), late.clone()])
        .set("log.format", "json");
    let grant = format!("grant forebay_writer to \\\"{role}\\\"");
    let unquoted = format!("grant forebay_writer to \"{role}\"");
    expect(&command::check(&stack, &config).await?, 1, &[&late, &unquoted]);

    let mut writer = Writer::start(&stack, config)?;
    writer.wait_for_line(&grant).await?;
    let not_ready = wait::until("/readyz to name both", || async {
        let answer = writer.get("/readyz").await?;
        Ok((answer.body.contains(&late) && answer.body.contains(&grant)).then_some(answer))
    })
    .await?;
    assert_eq!(not_ready.status, 503);
    database.primary().batch_execute(&format!("grant forebay_writer to {role}")).await?;
    writer.wait_for_line("has no topic").await?;
    let late = Topic::create_with(stack.kafka(), &late, 1, &[]).await?;
    writer.wait_until_ready().await?;
    let producer = Producer::new(stack.kafka())?;
    let sent = producer.send(&late, 0, None, Some(br#"{"id": 1}"#)).await?;
    database.wait_until_merged(SOURCE, &late, sent).await?;
    writer.stop().await
}

/// Both servers are away when the writer starts: each is named, until it is there.
#[tokio::test]
async fn servers_that_are_not_there_are_named_and_waited_for() -> Result<()> {
    let stack = Stack::from_env()?;
    let directory = stack.directory("away")?;
    let (primary, broker) = tokio::join!(
        Postgres::primary(&directory, "primary", THROW_AWAY),
        Broker::create(&directory, "kafka", &[]),
    );
    let (mut primary, mut broker) = (primary?, broker?);
    let database = Database::create_on(primary.endpoint(), None, "away").await?;
    let sql = "create table t (id int4 primary key); select forebay.add_target('t')";
    database.primary().batch_execute(sql).await?;
    let kafka = broker.bootstrap_servers();
    let topic = Topic::create(&kafka, "away", 1).await?;
    let dsn = primary.endpoint().dsn(database.name(), database.writer_role());
    let config = WriterConfig::of(&kafka, &database, SOURCE, &topic)
        .flat("public.t")
        .set("database.dsn", format!("{dsn} password={SECRET}"));
    let sent = Producer::new(&kafka)?.send(&topic, 0, None, Some(br#"{"id": 1}"#)).await?;
    primary.stop().await?;
    broker.stop().await?;

    let ended = command::check(&stack, &config).await?;
    let port = primary.endpoint().port;
    expect(&ended, 1, &[&kafka, &format!("127.0.0.1:{port}"), "2 problems"]);
    ensure!(!ended.said().contains(SECRET), "{}", ended.said());

    let mut writer = Writer::start_in(&directory, config)?;
    let unready = |writer: &Writer, names: &'static [&'static str]| {
        let port = writer.http_port();
        async move {
            wait::until(format!("/readyz to name {names:?}"), || async move {
                let answer = get_readyz(port).await?;
                let down: Vec<_> = answer
                    .iter()
                    .filter(|component| component["ready"] == false)
                    .filter_map(|component| component["component"].as_str())
                    .collect();
                let reasons = answer.iter().all(|component| {
                    component["ready"] == true
                        || component["reason"].as_str().is_some_and(|text| text != "starting")
                });
                Ok((reasons && down == names).then_some(()))
            })
            .await
        }
    };
    unready(&writer, &["broker", "database", "claim"]).await?;
    assert_eq!(writer.get("/healthz").await?.status, 200);
    writer.wait_for_line("trying again").await?;
    primary.start().await?;
    unready(&writer, &["broker", "claim"]).await?;
    broker.start().await?;
    writer.wait_until_ready().await?;
    let mut database = database;
    database.reconnect(primary.endpoint()).await?;
    database.wait_until_merged(SOURCE, &topic, sent).await?;
    let readyz = writer.get("/readyz").await?.body;
    let metrics = writer.get("/metrics").await?.body;
    writer.stop().await?;
    let log = fs::read_to_string(writer.log_file())?;
    ensure!(![readyz, metrics, log].concat().contains(SECRET), "the password is shown");
    Ok(())
}

async fn get_readyz(port: u16) -> Result<Vec<serde_json::Value>> {
    let ask = move || {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.get(format!("http://127.0.0.1:{port}/readyz")).call()?;
        anyhow::Ok(serde_json::from_str(&response.body_mut().read_to_string()?)?)
    };
    Ok(tokio::task::spawn_blocking(ask).await?.unwrap_or_default())
}

/// Junk of every kind between good events, in every format.
#[tokio::test]
async fn malformed_messages_are_dead_letters() -> Result<()> {
    let stack = Stack::from_env()?;
    let seed = junk::seed()?;
    println!("FOREBAY_TEST_SEED={seed}");
    let flat = |id: usize| format!(r#"{{"id": {id}, "j": {{"a": [1, "é\n"]}}, "note": "n"}}"#);
    let rows = |id: usize| {
        format!(
            r#"{{"rows": [{{"table": "public.t", "op": "upsert",
                "row": {{"id": {id}, "note": "n"}}}}]}}"#
        )
    };
    type MakeEvent<'a> = &'a dyn Fn(usize) -> String;
    for (kind, make) in [("flat", &flat as MakeEvent<'_>), ("rows", &rows)] {
        let (database, topic, config) = simple(&stack, kind).await?;
        let config = if kind == "rows" { config.rows() } else { config };
        // A changed id may be another good event's id, but never one of these.
        let model = make(1_000_000);
        let junk = junk::all(model.as_bytes(), seed);
        let good: Vec<String> = (0..junk.len()).map(make).collect();
        let messages = junk.iter().zip(&good).flat_map(|(junk, good)| {
            [*junk.message(), Message { payload: Some(good.as_bytes()), ..Message::default() }]
        });
        let producer = Producer::new(stack.kafka())?;
        let sent = producer.send_all(&topic, messages).await?;
        let config = config.set("rejections.max_share", 1.0);
        let mut writer = Writer::start(&stack, config)?;
        let merged = database.wait_until_all_merged(SOURCE, &topic, &sent).await;
        merged.with_context(|| writer.output().tail())?;

        // Three flipped bits leave an id four digits at least.
        let count = i64::try_from(good.len())?;
        ensure!(count < 1000, "a changed id may be a good event's");
        let sql = "select count(*) from t where id < $1::int8 and note = 'n'";
        let found: i64 = database.primary().query_one(sql, &[&count]).await?.get(0);
        assert_eq!(found, count, "{kind}: good events are all there");
        let letters = database.dead_letters(SOURCE).await?;
        for (junk, place) in junk.iter().zip(sent.iter().step_by(2)) {
            match letters.iter().find(|letter| letter.event == *place) {
                // A changed byte can be of no consequence.
                None => ensure!(junk.may_be_good(), "{kind}: {} was merged", junk.name()),
                Some(letter) => {
                    let kept = (letter.key.as_deref(), letter.payload.as_deref());
                    let sent = (junk.message().key, junk.message().payload);
                    assert_eq!(kept, sent, "{kind}: {} is kept whole", junk.name());
                    ensure!(!letter.message.is_empty() && letter.sqlstate.len() == 5);
                    let class = &letter.sqlstate[..2];
                    ensure!(
                        ["22", "23", "42", "54"].contains(&class),
                        "{kind}: {}: {letter:?}",
                        junk.name()
                    );
                }
            }
        }
        let metrics = Metrics::of(&writer).await?;
        assert_eq!(metrics.get("forebay_claims_total", &[])?, 1.0, "{}", writer.output().tail());
        writer.stop().await?;
        ensure!(!fs::read_to_string(writer.log_file())?.contains("panicked"));
    }
    Ok(())
}

/// Changed copies of real Butler events between the real ones: whatever becomes of them, the rest
/// of the sample is as ever.
#[tokio::test]
async fn malformed_butler_messages_are_dead_letters() -> Result<()> {
    let stack = Stack::from_env()?;
    let seed = junk::seed()?;
    println!("FOREBAY_TEST_SEED={seed}");
    let database = Database::create(&stack, "junk").await?;
    database.load(&butler_sample::schema()).await?;
    database.primary().batch_execute("select forebay.butler_add_targets()").await?;
    let topic = Topic::create(stack.kafka(), "junk", 1).await?;
    let config = WriterConfig::new(&stack, &database, SOURCE, &topic)
        .butler("public")
        .set("rejections.max_share", 1.0);
    let events = butler_sample::events()?;
    let good = |event: &'_ [u8]| -> Vec<u8> { event.to_vec() };
    let junk = junk::cut(&good(&events[1]), seed, 60);
    let (bootstrap, others) = events.split_first().context("no events")?;
    let mut messages = vec![Message { payload: Some(bootstrap), ..Message::default() }];
    for (index, event) in others.iter().enumerate() {
        messages.extend(junk.get(index).map(|junk| *junk.message()));
        messages.push(Message { payload: Some(event), ..Message::default() });
    }
    let sent = Producer::new(stack.kafka())?.send_all(&topic, messages).await?;
    let mut writer = Writer::start(&stack, config)?;
    let merged = database.wait_until_all_merged(SOURCE, &topic, &sent).await;
    merged.with_context(|| writer.output().tail())?;
    let letters = database.dead_letters(SOURCE).await?;
    assert_eq!(letters.len(), junk.len(), "{letters:#?}");
    let states = letters.iter().all(|letter| ["22P02", "22021"].contains(&&*letter.sqlstate));
    ensure!(states, "{letters:#?}");
    butler_sample::check(&database.connect_replica().await?).await?;
    writer.stop().await
}
