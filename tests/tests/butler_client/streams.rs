//! Large mixed streams, made from the real records that the client ships: whatever pieces they come in,
//! and however often, a writer leaves the rows that the client leaves, and rejects the events that the
//! client refuses. `streams.py` says what is in each, and how the client applies it.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Gate, Stack, Writer, dead_letter::DeadLetter, metrics::Metrics, stack::unique, wait,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Deserialize;

use crate::comparison::{Difference, compare};
use crate::program;
use crate::repository::{Repository, SOURCE};

/// What `streams.py` has made.
#[derive(Deserialize)]
struct Stream {
    template: String,
    events: Vec<String>,
    once: Applied,
    twice: Applied,
}

/// What the client has made of the events.
#[derive(Deserialize)]
struct Applied {
    database: String,
    /// Of each event: nothing, or the class of the exception that refused it.
    outcomes: Vec<String>,
}

/// How the events are delivered to the writer.
#[derive(Clone, Copy, Debug)]
enum Delivery {
    /// All at once, after the first: a single batch, but for what is not read yet when that begins.
    OneBatch,
    /// In pieces, each of which is merged before the next one comes.
    Cut,
    /// In pieces, and once all have come, all again.
    Twice,
}

#[tokio::test]
async fn datasets_of_registered_types_are_the_same() -> Result<()> {
    let tally = check("registered", |_| true).await?;
    ensure!(tally.datasets > 4000 && tally.refused == 0, "{tally:?}");
    Ok(())
}

#[tokio::test]
async fn datasets_of_types_that_events_define_are_the_same() -> Result<()> {
    let tally = check("defined", |_| true).await?;
    ensure!(tally.datasets > 1500 && tally.refused == 0, "{tally:?}");
    Ok(())
}

#[tokio::test]
async fn conflicts_end_the_same() -> Result<()> {
    let tally = check("conflicts", |_| true).await?;
    ensure!(tally.datasets > 100 && tally.refused > 20, "{tally:?}");
    Ok(())
}

#[tokio::test]
async fn datasets_of_all_kinds_of_groups_are_the_same() -> Result<()> {
    let tally = check("groups", |_| true).await?;
    ensure!(tally.datasets > 800 && tally.groups > 60 && tally.refused == 0, "{tally:?}");
    Ok(())
}

/// The client imports a few datasets with them, which are not compared.
#[tokio::test]
async fn all_records_that_the_client_ships_are_the_same() -> Result<()> {
    let of_datasets = ["collection", "run", "dataset", "dimension_graph"];
    let is_of_records = |difference: &Difference| {
        !of_datasets.iter().any(|prefix| difference.table.starts_with(prefix))
    };
    check("shipped", is_of_records).await.map(drop)
}

/// What a stream was.
#[derive(Debug)]
struct Tally {
    /// Datasets that the client has.
    datasets: i64,
    /// Groups of dimensions of which it has datasets.
    groups: i64,
    /// Events that it refused.
    refused: usize,
}

/// Checks the stream in each delivery, by the tables that are `compared`. `FOREBAY_TEST_SEED` repeats a
/// run.
async fn check(name: &str, compared: impl Fn(&Difference) -> bool) -> Result<Tally> {
    let seed = std::env::var("FOREBAY_TEST_SEED").ok().map(|seed| seed.parse()).transpose()?;
    let seed: u32 = seed.unwrap_or_else(|| rand::rng().random());
    println!("{name}: FOREBAY_TEST_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed.into());
    let stack = Stack::from_env()?;
    let mut program = program::on(stack.primary(), "streams.py")?;
    program.args([&unique(name), name, &seed.to_string()]);
    let [stream]: [Stream; 1] = program::read(program).await?.try_into().ok().context("a line")?;
    for delivery in [Delivery::OneBatch, Delivery::Cut, Delivery::Twice] {
        let differences = deliver(&stack, &stream, delivery, random).await;
        let mut differences = differences.with_context(|| format!("{name}, {delivery:?}"))?;
        differences.retain(&compared);
        differences.truncate(20);
        ensure!(differences.is_empty(), "{name}, {delivery:?}: {differences:#?}");
    }
    tally(&stack, &stream.once).await
}

/// Delivers the stream to a writer, compares which events it rejects with those that the client refused,
/// and answers how their databases differ.
async fn deliver(
    stack: &Stack,
    stream: &Stream,
    delivery: Delivery,
    random: &mut StdRng,
) -> Result<Vec<Difference>> {
    let repository = Repository::copy(stack, &stream.template).await?;
    let config = repository
        .config()
        // Room for the largest stream.
        .set("batch.max_rows", 1_000_000)
        .set("memory.budget", "1 GiB")
        // As many may be refused as are not, on purpose.
        .set("rejections.max_share", 1.0);
    let mut writer = Writer::start(stack, config)?;
    let applied = match delivery {
        Delivery::OneBatch => deliver_at_once(&repository, &mut writer, &stream.events).await,
        Delivery::Cut => deliver_in_pieces(&repository, &stream.events, random).await,
        Delivery::Twice => {
            deliver_in_pieces(&repository, &stream.events, random).await?;
            deliver_in_pieces(&repository, &stream.events, random).await
        }
    };
    applied.with_context(|| writer.output().tail())?;
    writer.stop().await?;
    let (client, outcomes) = match delivery {
        Delivery::OneBatch | Delivery::Cut => (&stream.once, stream.once.outcomes.clone()),
        Delivery::Twice => {
            (&stream.twice, [&*stream.once.outcomes, &stream.twice.outcomes].concat())
        }
    };
    check_refusals(&outcomes, &repository.database().dead_letters(SOURCE).await?)?;
    compare(stack, &client.database, repository.database().name()).await
}

/// Holds the writer up with the first event until it has read the others, or most of them.
async fn deliver_at_once(
    repository: &Repository,
    writer: &mut Writer,
    events: &[String],
) -> Result<()> {
    let gate = Gate::before_stage(repository.database(), "public.instrument").await?;
    repository.produce(&events[..1]).await?;
    gate.wait_until_held().await?;
    let sent = repository.produce(&events[1..]).await?;
    let bytes: u32 = events[1..].iter().map(|event| event.len() as u32).sum();
    let known = &*writer;
    wait::until("the events to be read", || async move {
        let read = Metrics::of(known).await?.get("forebay_buffered_bytes", &[])?;
        Ok((read >= f64::from(bytes)).then_some(()))
    })
    .await?;
    gate.open().await?;
    repository.database().wait_until_all_merged(SOURCE, repository.topic(), &sent).await?;
    let batches = Metrics::of(writer).await?.get("forebay_batch_events_count", &[])?;
    ensure!(batches <= 4.0, "{batches} batches");
    Ok(())
}

async fn deliver_in_pieces(
    repository: &Repository,
    mut events: &[String],
    random: &mut StdRng,
) -> Result<()> {
    while !events.is_empty() {
        let (piece, rest) = events.split_at(random.random_range(1..=events.len().min(20)));
        let sent = repository.produce(piece).await?;
        repository.database().wait_until_all_merged(SOURCE, repository.topic(), &sent).await?;
        events = rest;
    }
    Ok(())
}

/// The dead letters are the events that the client has refused, and no others.
fn check_refusals(outcomes: &[String], dead: &[DeadLetter]) -> Result<()> {
    for (offset, outcome) in (0..).zip(outcomes) {
        let letter = dead.iter().find(|letter| letter.event.offset == offset);
        let is_same = outcome.is_empty() == letter.is_none();
        ensure!(
            is_same,
            "event {offset}: the client raises {outcome:?}, and the writer: {letter:?}"
        );
    }
    ensure!(dead.len() <= outcomes.len(), "{} dead letters", dead.len());
    Ok(())
}

async fn tally(stack: &Stack, client: &Applied) -> Result<Tally> {
    let database = stack.primary().connect(&client.database).await?;
    let sql = "select count(*), count(distinct t.dimensions_key) \
               from dataset d join dataset_type t on t.id = d.dataset_type_id";
    let row = database.query_one(sql, &[]).await?;
    let refused = client.outcomes.iter().filter(|outcome| !outcome.is_empty()).count();
    Ok(Tally { datasets: row.get(0), groups: row.get(1), refused })
}
