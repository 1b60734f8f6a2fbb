//! Literals that are nearly right: whatever the writer takes, it takes as the server does.
//!
//! `FOREBAY_TEST_SEED` makes the same ones again.

use anyhow::{Context, Result};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::comparison::Comparison;
use super::kind::Kind;

/// Mutants of each type.
const MUTANTS: usize = 30;

/// Longer literals are not changed.
const LONGEST: usize = 100;

#[tokio::test]
async fn nothing_is_stored_that_insert_would_not_store() -> Result<()> {
    let seed = match std::env::var("FOREBAY_TEST_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => rand::rng().random(),
    };
    let mut rng = StdRng::seed_from_u64(seed);
    let kinds = super::encoded().into_iter().map(|kind| mutants(&kind, &mut rng)).collect();
    let compare = async {
        let comparison = Comparison::run("types_mutants", "", "", kinds).await?;
        comparison.check_nothing_else_is_stored().await?;
        comparison.check_nothing_was_isolated()
    };
    compare.await.with_context(|| format!("FOREBAY_TEST_SEED={seed}"))
}

fn mutants(kind: &Kind, rng: &mut StdRng) -> Kind {
    let literals = kind.cases.iter().filter_map(|case| case.literal.as_deref());
    let literals: Vec<&str> = literals.filter(|literal| literal.len() <= LONGEST).collect();
    let mutants: Vec<_> =
        (0..MUTANTS).filter_map(|_| Some(mutant(literals.choose(rng)?, &literals, rng))).collect();
    let kind = Kind::new(kind.sql, &[]);
    // These take no literals, but JSON as it stands.
    if matches!(kind.sql, "json" | "jsonb") {
        let values: Vec<_> = mutants.iter().map(|mutant| mutant.trim_ascii()).collect();
        return kind.json(&values);
    }
    kind.literals(&mutants)
}

/// The literal with one to three characters left out, put in or doubled, or with the end of
/// another.
fn mutant(literal: &str, others: &[&str], rng: &mut StdRng) -> String {
    const MARKS: [char; 26] = [
        ' ', '0', '1', '5', '9', '-', '+', '.', ',', ':', '/', '"', '\\', '{', '}', '[', ']', '(',
        ')', 'e', 'E', 'x', 'T', 'Z', 'é', '\t',
    ];
    let mut mutant: Vec<char> = literal.chars().collect();
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..=mutant.len());
        match rng.random_range(0..4) {
            0 if at < mutant.len() => drop(mutant.remove(at)),
            1 if at < mutant.len() => mutant.insert(at, mutant[at]),
            2 => {
                let other: Vec<char> =
                    others.choose(rng).map_or_else(Vec::new, |it| it.chars().collect());
                mutant.truncate(at);
                mutant.extend(&other[rng.random_range(0..=other.len())..]);
            }
            _ => mutant.insert(at, *MARKS.choose(rng).unwrap_or(&' ')),
        }
    }
    mutant.into_iter().collect()
}
