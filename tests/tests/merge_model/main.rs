//! The merge against its reference model: the same rows, the same rejected events, however the
//! stream is cut.
//!
//! `FOREBAY_TEST_SEED` replays one stream.
#![forbid(unsafe_code)]

mod ddl;
mod feature;
mod kind;
mod merge;
mod random_schema;
mod random_stream;
mod reference;
mod schema;
mod seed;
mod stream;
mod tally;
mod trial;

use anyhow::{Context, Result, bail, ensure};
use forebay_tests::{Database, Stack};
use futures_util::future::try_join_all;

use feature::Feature;
use merge::Merge;
use seed::Seed;
use tally::Tally;
use trial::Trial;

/// Sessions that try streams at the same time, each in a database of its own.
const SESSIONS: usize = 2;
/// Schemas that a session tries.
const SCHEMAS: usize = 50;
/// Streams that a schema is tried with.
const STREAMS: u32 = 20;

#[tokio::test]
async fn no_outcome_depends_on_how_the_stream_is_cut() -> Result<()> {
    if let Some(seed) = Seed::from_env()? {
        return replay(seed).await;
    }
    let tallies = try_join_all((0..SESSIONS).map(|_| try_schemas())).await?;
    let mut tally = Tally::default();
    tallies.iter().for_each(|other| tally.add(other));
    println!("{tally:?}");
    ensure!(tally.sets * 3 > tally.batches, "too few sets: {tally:?}");
    ensure!(tally.rejected * 4 > tally.events, "too few are rejected: {tally:?}");
    ensure!(tally.rejected * 4 < tally.events * 3, "too many are rejected: {tally:?}");
    for feature in Feature::ALL {
        ensure!(tally.features.contains_key(&feature), "no stream has {feature:?}: {tally:?}");
    }
    ensure!(tally.exact_reasons * 10 > tally.reasons * 9, "too many other reasons: {tally:?}");
    Ok(())
}

/// Each of these mistakes shows in one of the streams. `stale_look` shows only if another session
/// writes: see `merge`.
#[tokio::test]
async fn every_mutant_is_caught() -> Result<()> {
    let mutants = [
        "no_cut",
        "dead_parents",
        "late_parents",
        "version_tie",
        "deletes_last",
        "unchecked_references",
        "unseen_changes",
        "uncounted_updates",
    ];
    try_join_all(mutants.map(catch)).await?;
    Ok(())
}

async fn catch(mutant: &str) -> Result<()> {
    let database = database().await?;
    let mut merge = Merge::claim(database.primary()).await?;
    for number in 0..SCHEMAS {
        let seeds: Vec<_> = Seed::of_new_schema(STREAMS).collect();
        let schema = random_schema::generate(&mut seeds[0].schema_rng(), number);
        let mut trial = Trial::prepare(database.primary(), &schema, &mut merge).await?;
        for seed in seeds {
            let batches = random_stream::generate(&mut seed.stream_rng(), &schema);
            let shown = trial.run_mutant(mutant, &batches).await;
            if let Some(shown) = shown.with_context(|| format!("FOREBAY_TEST_SEED={seed}"))? {
                println!("{mutant}: after {number} schemas, FOREBAY_TEST_SEED={seed}: {shown}");
                return Ok(());
            }
        }
    }
    bail!("nobody notices the mutant {mutant}")
}

async fn database() -> Result<Database> {
    let database = Database::create(&Stack::from_env()?, "merge_model").await?;
    reference::install(database.primary()).await?;
    Ok(database)
}

async fn replay(seed: Seed) -> Result<()> {
    let database = database().await?;
    let mut merge = Merge::claim(database.primary()).await?;
    let mut tally = Tally::default();
    try_streams(&database, &mut merge, 0, [seed], &mut tally).await?;
    println!("{tally:?}");
    Ok(())
}

/// New schemas and streams in every run, so that CI keeps looking.
async fn try_schemas() -> Result<Tally> {
    let database = database().await?;
    let mut merge = Merge::claim(database.primary()).await?;
    let mut tally = Tally::default();
    for number in 0..SCHEMAS {
        let seeds = Seed::of_new_schema(STREAMS);
        try_streams(&database, &mut merge, number, seeds, &mut tally).await?;
    }
    Ok(tally)
}

/// Tries streams of one schema. A failure says how to replay it, and the least that fails.
async fn try_streams(
    database: &Database,
    merge: &mut Merge<'_>,
    number: usize,
    seeds: impl IntoIterator<Item = Seed>,
    tally: &mut Tally,
) -> Result<()> {
    let mut seeds = seeds.into_iter().peekable();
    let Some(first) = seeds.peek() else { return Ok(()) };
    let schema = random_schema::generate(&mut first.schema_rng(), number);
    let mut trial = Trial::prepare(database.primary(), &schema, merge).await?;
    for seed in seeds {
        let mut rng = seed.stream_rng();
        let batches = random_stream::generate(&mut rng, &schema);
        trial.randomize_ways(&mut rng).await?;
        if let Some(difference) = trial.run(&batches, tally).await? {
            let least = trial.shrink(batches).await?;
            let of_least = trial.run(&least, &mut Tally::default()).await?;
            bail!(
                "FOREBAY_TEST_SEED={seed}: {difference}\n{}\nThe least of it: {least:#?}\n{}",
                schema.describe(),
                of_least.unwrap_or_default()
            );
        }
    }
    Ok(())
}
