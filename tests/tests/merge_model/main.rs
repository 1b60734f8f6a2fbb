//! The merge against its reference model: the same rows, the same rejected events, however the
//! stream is cut.
//!
//! `FOREBAY_TEST_SEED` replays one stream.
#![forbid(unsafe_code)]

mod merge;
mod reference;
mod schema;
mod stream;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Stack};
use rand::{Rng, SeedableRng, rngs::StdRng};

use merge::{Merge, Paths};
use stream::Event;

const STREAMS: u64 = 150;

#[tokio::test]
async fn no_outcome_depends_on_how_the_stream_is_cut() -> Result<()> {
    let stack = Stack::from_env()?;
    let database = Database::create(&stack, "merge_model").await?;
    schema::create(database.primary()).await?;
    // Small runs are walked otherwise, and these are all small.
    database.primary().batch_execute("set forebay.walk_below = 0").await?;
    let mut merge = Merge::claim(database.primary()).await?;
    let mut paths = Paths::default();
    for seed in seeds()? {
        let mut rng = StdRng::seed_from_u64(seed);
        let events = stream::generate(&mut rng);
        let difference = run(&database, &mut merge, &mut rng, &events, &mut paths).await;
        difference.with_context(|| format!("FOREBAY_TEST_SEED={seed}: {events:#?}"))?;
    }
    if std::env::var_os("FOREBAY_TEST_SEED").is_none() {
        ensure!(paths.set > 100 && paths.walk > 100, "too few of one kind: {paths:?}");
    }
    Ok(())
}

/// New ones in every run, so that CI keeps looking; a failure prints its own.
fn seeds() -> Result<Vec<u64>> {
    if let Ok(seed) = std::env::var("FOREBAY_TEST_SEED") {
        return Ok(vec![seed.parse()?]);
    }
    let first = rand::rng().random_range(0..u64::MAX / 2);
    Ok((first..first + STREAMS).collect())
}

async fn run(
    database: &Database,
    merge: &mut Merge<'_>,
    rng: &mut StdRng,
    events: &[Event],
    paths: &mut Paths,
) -> Result<()> {
    let client = database.primary();
    schema::empty(client).await?;
    let expected = reference::apply(client, events).await?;
    let mut rejected = Vec::new();
    let mut first = 0;
    while first < events.len() {
        // Now and then a few at a time, so that batches without a repeated key are met, too.
        let most = if rng.random_bool(0.5) { 4 } else { events.len() };
        let count = rng.random_range(1..=most.min(events.len() - first));
        let refused = merge.apply(&events[first..first + count], paths).await?;
        rejected.extend(refused.into_iter().map(|event| first + event));
        first += count;
    }
    ensure!(rejected == expected, "rejected {rejected:?}, and the reference {expected:?}");
    schema::ensure_equal(client).await
}
