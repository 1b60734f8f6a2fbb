//! The sample's Butler events, through Kafka and the writer onto the replica: what they leave
//! there is what the official client makes of them.

use anyhow::Result;
use forebay_tests::{Message, Stack, Writer, butler_sample, command, metrics::Metrics};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::repository::{CHAIN, Repository, SOURCE, broken_event};

#[tokio::test]
async fn the_replica_has_what_the_official_client_makes_of_the_sample() -> Result<()> {
    let stack = Stack::from_env()?;
    let repository = Repository::create(&stack, "sample", 4).await?;
    let mut writer = Writer::start(&stack, repository.config())?;
    let (bootstrap, others) = repository.events();

    repository.send(&[bootstrap]).await?;
    repository.send(&others).await?;
    repository.check().await?;
    let metrics = Metrics::of(&writer).await?;
    let first = metrics.get("forebay_merges_total", &[("path", "set")])?;
    assert!(first > 0.0);
    assert_eq!(metrics.sum("forebay_merges_total", &[("path", "walk")]).unwrap_or(0.0), 0.0);

    // The same again: nothing is new, and nothing is written.
    let mut again = others;
    again.insert(0, bootstrap);
    repository.send(&again).await?;
    repository.check().await?;
    let metrics = Metrics::of(&writer).await?;
    let rows = |outcome| metrics.sum("forebay_rows_total", &[("outcome", outcome)]).unwrap_or(0.0);
    assert_eq!((rows("updated"), rows("deleted")), (0.0, 0.0));
    let datasets = [("target", "public.dataset"), ("outcome", "inserted")];
    assert_eq!(metrics.get("forebay_rows_total", &datasets)?, 15_120.0);
    writer.stop().await
}

/// Twice, in another order, in bursts, by a row of writers with small batches: nothing of that
/// may show. `FOREBAY_TEST_SEED` repeats a run.
#[tokio::test]
async fn nothing_depends_on_how_the_stream_is_cut() -> Result<()> {
    let seed = std::env::var("FOREBAY_TEST_SEED").ok().map(|seed| seed.parse()).transpose()?;
    let seed = seed.unwrap_or_else(|| rand::rng().random());
    println!("FOREBAY_TEST_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed);

    let stack = Stack::from_env()?;
    let repository = Repository::create(&stack, "cut", random.random_range(1..=5)).await?;
    let (bootstrap, others) = repository.events();
    let mut writer = Writer::start(&stack, repository.config())?;
    repository.send(&[bootstrap]).await?;
    writer.stop().await?;

    let mut stream: Vec<Message<'_>> = others.iter().chain(&others).copied().collect();
    stream.extend([bootstrap; 3]);
    stream.shuffle(random);
    for message in &mut stream {
        message.partition = random.random_range(0..repository.partitions());
    }
    let mut rest = stream.as_slice();
    let mut sent = Vec::new();
    while !rest.is_empty() {
        // Small enough for several batches of each writer, large enough for some to hold repeats.
        let config = repository
            .config()
            .set("batch.max_rows", random.random_range(1..4000))
            .set("batch.max_bytes", format!("{} KiB", random.random_range(64..1024)));
        let mut writer = Writer::start(&stack, config)?;
        writer.wait_until_ready().await?;
        let part = random.random_range(1..=rest.len().min(300));
        let (mut now, later) = rest.split_at(part);
        rest = later;
        while !now.is_empty() {
            let (burst, others) = now.split_at(random.random_range(1..=now.len().min(60)));
            now = others;
            if random.random_bool(0.5) {
                repository.send(burst).await?;
            } else {
                sent.extend(repository.produce(burst).await?);
            }
        }
        // It is stopped in the middle of its work, and the next one goes on.
        writer.stop().await?;
    }
    let mut writer = Writer::start(&stack, repository.config())?;
    repository.wait_until_merged(&sent).await?;
    repository.check().await?;
    writer.stop().await
}

/// Each of these is refused whole and alone, in the same batch as good neighbours: also the
/// dimension record that it brings is not kept.
#[tokio::test]
async fn a_refused_dataset_takes_only_its_own_event_with_it() -> Result<()> {
    let stack = Stack::from_env()?;
    let repository = Repository::create(&stack, "refused", 1).await?;
    let (bootstrap, good) = repository.events();
    let mut writer = Writer::start(&stack, repository.config())?;
    repository.send(&[bootstrap, good[0]]).await?;
    let payload = |index: usize| good[index].payload.unwrap_or_default();

    // Name, changed event, SQLSTATE, table that refuses it (none: the writer). `good[0]` is in the
    // database before the batch, `good[1]` comes in it, before these.
    let cases = [
        (
            "unknown dataset type",
            broken_event(payload(0), 1, |dataset| {
                dataset.reference["dataset_type_name"] = "unheard_of".into();
            })?,
            ("23503", "public.dataset_type"),
        ),
        (
            "a known dataset in a new run",
            broken_event(payload(0), 2, |dataset| dataset.reference["run"] = "new/run".into())?,
            ("23505", "public.dataset"),
        ),
        (
            "collection that is no run",
            broken_event(payload(0), 3, |dataset| {
                dataset.reference["run"] = CHAIN.into();
            })?,
            ("23514", "public.collection"),
        ),
        (
            "no value for a dimension",
            broken_event(payload(0), 4, |dataset| {
                dataset.data_id().remove("detector");
            })?,
            ("23502", "public.dataset_tags_00000001"),
        ),
        (
            "word for a number",
            broken_event(payload(0), 5, |dataset| {
                dataset.data_id().insert("detector".into(), "R22_S11".into());
            })?,
            ("22P02", "public.dataset_tags_00000001"),
        ),
        (
            "unknown detector",
            broken_event(payload(0), 6, |dataset| {
                dataset.uuid = "00000000-0000-4000-8000-000000000006".into();
                dataset.data_id().insert("detector".into(), 9999.into());
            })?,
            ("23503", "public.dataset_tags_00000001"),
        ),
        (
            "another dataset's data ID, which is in the database",
            broken_event(payload(0), 7, |dataset| {
                dataset.uuid = "00000000-0000-4000-8000-000000000007".into();
            })?,
            ("23505", "public.dataset_tags_00000001"),
        ),
        (
            "another dataset's data ID, which is in the batch",
            broken_event(payload(1), 8, |dataset| {
                dataset.uuid = "00000000-0000-4000-8000-000000000008".into();
            })?,
            ("23505", "public.dataset_tags_00000001"),
        ),
        (
            "a known dataset with another data ID",
            broken_event(payload(0), 9, |dataset| {
                dataset.data_id().insert("detector".into(), 188.into());
            })?,
            ("23505", "public.dataset_tags_00000001"),
        ),
        (
            "a known dataset of another type",
            broken_event(payload(0), 10, |dataset| {
                dataset.reference["dataset_type_name"] = "difference_image".into();
                dataset.data_id().insert("detector".into(), 188.into());
            })?,
            ("23505", "public.dataset_tags_00000001"),
        ),
        (
            "no UUID",
            broken_event(payload(0), 11, |dataset| dataset.uuid = "7".into())?,
            ("22P02", ""),
        ),
        (
            "a path out of the datastore",
            broken_event(payload(0), 12, |dataset| dataset.path = "../x".into())?,
            ("22023", ""),
        ),
    ];
    let mut stream = vec![good[1]];
    for (index, (_, event, _)) in cases.iter().enumerate() {
        stream.push(Message { payload: Some(event), ..Message::default() });
        stream.push(good[2 + index]);
    }
    stream.extend_from_slice(&good[2 + cases.len()..]);
    // One batch, as far as that can be had: it all lies there before the writer starts.
    writer.stop().await?;
    let sent = repository.produce(&stream).await?;
    let mut writer = Writer::start(&stack, repository.config())?;
    repository.wait_until_merged(&sent).await?;

    let dead = repository.database().dead_letters(SOURCE).await?;
    let mut wrong = Vec::new();
    for (index, (name, event, (sqlstate, target))) in cases.iter().enumerate() {
        let place = sent[1 + 2 * index];
        match dead.iter().find(|letter| letter.event == place) {
            None => wrong.push(format!("{name}: no dead letter")),
            Some(letter) => {
                let found = letter.target.as_deref().unwrap_or_default();
                if (letter.sqlstate.as_str(), found) != (*sqlstate, *target) {
                    wrong.push(format!("{name}: {letter:?}"));
                }
                assert_eq!(letter.payload.as_deref(), Some(event.as_slice()), "{name}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(dead.len(), cases.len(), "{dead:#?}");
    // Neighbours are merged, and of the refused nothing stays.
    repository.wait_until_replayed().await?;
    let replica = repository.database().connect_replica().await?;
    butler_sample::check(&replica).await?;
    let run = replica.query("select from collection where name = 'new/run'", &[]).await?;
    assert!(run.is_empty(), "the run of a refused event is kept");
    writer.stop().await
}

/// Nothing could be merged, so it stops, and says what is missing.
#[tokio::test]
async fn a_repository_that_is_not_registered_is_named() -> Result<()> {
    let stack = Stack::from_env()?;
    let repository = Repository::create_unregistered(&stack, "unregistered").await?;
    for ended in [
        command::run(&stack, &repository.config()).await?,
        command::check(&stack, &repository.config()).await?,
    ] {
        assert_eq!(ended.code, Some(1), "{}", ended.said());
        assert!(ended.said().contains("forebay.butler_add_targets"), "{}", ended.said());
    }
    Ok(())
}
