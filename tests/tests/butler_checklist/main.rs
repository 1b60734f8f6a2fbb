//! The checklist of what a Butler client does: each case's events, applied by the official client
//! and by a writer, leave the same rows, and both refuse the same events. Where Forebay differs,
//! [`expectation`] says so, and why; it also names the rules that no case can show.
#![forbid(unsafe_code)]

mod comparison;
mod expectation;
mod judgement;
mod repository;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use expectation::{DIFFERENCES, LEFT_OUT, REFUSALS};
use forebay_tests::Stack;
use futures_util::{StreamExt, TryStreamExt, stream};
use judgement::Judgement;
use rand::{Rng, SeedableRng, rngs::StdRng};
use repository::{Delivery, Repository};

/// How many writers run at a time.
const AT_ONCE: usize = 4;

/// Each in every delivery: all in one batch, cut at random, and with every event twice. The cases
/// are mixed with each other at random, so that they are each other's neighbours in a batch.
/// `FOREBAY_TEST_SEED` repeats a run.
#[tokio::test]
async fn a_client_and_a_writer_do_the_same() -> Result<()> {
    let seed = std::env::var("FOREBAY_TEST_SEED").ok().map(|seed| seed.parse()).transpose()?;
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    println!("FOREBAY_TEST_SEED={seed}");
    let stack = Stack::from_env()?;
    let repositories = Repository::make_all(&stack).await?;
    let names: BTreeSet<_> = repositories
        .iter()
        .flat_map(|repository| &repository.cases)
        .map(|case| &*case.name)
        .collect();
    let expected = REFUSALS.iter().map(|refusal| refusal.0);
    for name in expected.chain(DIFFERENCES.iter().map(|difference| difference.0)) {
        ensure!(names.contains(name), "there is no case {name}");
    }
    for (name, reason) in LEFT_OUT {
        ensure!(!names.contains(name), "there is a case {name}: {reason}");
    }
    let deliveries = [Delivery::OneBatch, Delivery::Cut, Delivery::Twice];
    let runs = deliveries.iter().flat_map(|delivery| {
        let with = |repository| (*delivery, repository);
        repositories.iter().map(with)
    });
    let runs = runs.enumerate().map(|(index, (delivery, repository))| {
        let random = StdRng::seed_from_u64(seed.wrapping_add(index as u64));
        repository.deliver(&stack, delivery, random)
    });
    let delivered: Vec<_> = stream::iter(runs).buffered(AT_ONCE).try_collect().await?;
    let differences = comparison::compare(&delivered).await?;
    let mut wrong = Vec::new();
    for (index, delivered) in delivered.iter().enumerate() {
        let rows = differences.iter().filter(|difference| difference.pair == index);
        let judgement = Judgement::of(delivered, rows);
        wrong.extend(
            judgement.wrong.into_iter().map(|what| format!("{:?}: {what}", delivered.delivery)),
        );
    }
    let cases: usize = repositories.iter().map(|repository| repository.cases.len()).sum();
    println!("{cases} cases, {} deliveries", delivered.len());
    ensure!(
        wrong.is_empty(),
        "FOREBAY_TEST_SEED={seed}: {} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}
