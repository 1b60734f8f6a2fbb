//! Clients and a writer write the same at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Stack, Writer, metrics::Metrics, stack::unique};
use futures_util::future::try_join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Deserialize;

use crate::comparison::compare;
use crate::program;
use crate::repository::{Repository, SOURCE};
use crate::session::{Outcome, Session};

/// How many rounds, each begun by all at once.
const ROUNDS: usize = 25;

/// Before each of its events, the stream pauses at random, so that it meets the clients everywhere: at
/// most so many milliseconds.
const PAUSE: u64 = 150;

/// What a client raises that has lost a race for datasets, against whomever. The existing service then
/// applies the event once more.
const LOST: &str = "ConflictingDefinitionError";

/// What PostgreSQL tells a client that has lost a race for a record whose table has a second unique key,
/// against whomever: `on conflict (key) do nothing` looks for the key first, and a row that comes after
/// that look, and before the insertion, is met in the index of the second key, which is not forgiven.
/// (Eight sessions that insert the same rows so, and nothing else, meet it at once, too.)
const LOST_RECORD: [&str; 2] = ["psycopg2.errors.UniqueViolation", "_unq_"];

/// Who has lost a race for a record may lose the one for its datasets, too. Who wins one has committed all
/// of it, so that no third is lost.
const MOST_LOSSES: usize = 2;

/// What `contention_events.py` has made.
#[derive(Deserialize)]
struct Contention {
    template: String,
    client: String,
    rounds: Vec<Round>,
}

#[derive(Deserialize)]
struct Round {
    /// Events that everybody applies.
    shared: Vec<String>,
    /// The stream's own event.
    stream: String,
    /// Each client's own event.
    clients: Vec<String>,
    /// Runs that clients register first, if they do.
    runs: Vec<String>,
}

/// Types, runs, records, datasets and one chain: nobody fails, and nothing of anybody's is lost.
#[tokio::test]
async fn clients_and_a_writer_get_along() -> Result<()> {
    get_along(3, "first").await
}

/// The same, with runs that the client makes where it ingests, while the writer makes them, too. Two
/// clients can't: who makes a run has locked `collection`, and wants `dataset`, and who registers a type
/// has it the other way round.
#[tokio::test]
async fn a_client_and_a_writer_make_the_same_runs() -> Result<()> {
    get_along(1, "within").await
}

/// `runs` are registered `first`, or `within` the ingest that needs them.
async fn get_along(clients: usize, runs: &str) -> Result<()> {
    let stack = Stack::from_env()?;
    let mut program = program::on(stack.primary(), "contention_events.py")?;
    program.args([unique("contention"), ROUNDS.to_string(), clients.to_string(), runs.into()]);
    let [made]: [Contention; 1] =
        program::read(program).await?.try_into().ok().context("a line")?;
    let repository = Repository::copy(&stack, &made.template).await?;
    let name = repository.database().name();
    let directory = stack.directory("clients")?;
    let directory = directory.to_str().context("a directory's name")?;
    let sessions = (0..clients).map(|_| Session::start(&stack, name, directory));
    let mut sessions: Vec<_> = sessions.collect::<Result<_>>()?;
    let mut writer = Writer::start(&stack, repository.config())?;
    writer.wait_until_ready().await?;

    let seed = std::env::var("FOREBAY_TEST_SEED").ok().map(|seed| seed.parse()).transpose()?;
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    println!("FOREBAY_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for (number, round) in made.rounds.iter().enumerate() {
        let stream: Vec<_> = round.shared.iter().chain([&round.stream]).cloned().collect();
        let clients = sessions.iter_mut().zip(&round.clients).enumerate();
        let clients =
            clients.map(|(client, (session, own))| take_part(session, client, round, own));
        let pauses: Vec<_> = stream.iter().map(|_| random.random_range(0..PAUSE)).collect();
        let stream = async {
            for (event, pause) in stream.iter().zip(pauses) {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let sent = repository.produce(std::slice::from_ref(event)).await?;
                let merged =
                    repository.database().wait_until_all_merged(SOURCE, repository.topic(), &sent);
                merged.await?;
            }
            Ok(())
        };
        tokio::try_join!(try_join_all(clients), stream)
            .with_context(|| format!("{:#?}", deadlocks(&stack, name)))
            .with_context(|| format!("round {number}: {}", writer.output().tail()))?;
    }
    let dead = repository.database().dead_letters(SOURCE).await?;
    ensure!(dead.is_empty(), "{dead:?}");
    check_chain(repository.database(), &made.rounds, clients).await?;
    let mut differences = compare(&stack, &made.client, name).await?;
    differences.retain(|difference| difference.table != "collection_chain");
    ensure!(differences.is_empty(), "{differences:#?}");
    let deadlocks = deadlocks(&stack, name)?;
    ensure!(deadlocks.is_empty(), "{deadlocks:#?}");
    check_retries(&writer).await?;
    writer.stop().await
}

/// Registers runs, and applies the shared events and one's own, each client in another order.
async fn take_part(session: &mut Session, client: usize, round: &Round, own: &str) -> Result<()> {
    for run in &round.runs {
        let outcome = session.register_run(run).await?;
        ensure!(outcome.class.is_empty(), "client {client}, run {run}: {outcome:?}");
    }
    let mut events: Vec<_> = round.shared.iter().map(String::as_str).chain([own]).collect();
    events.rotate_left(client % round.shared.len());
    for event in events {
        let mut outcome = session.apply(event).await?;
        for _ in 0..MOST_LOSSES {
            if has_lost(&outcome) && event != own {
                outcome = session.apply(event).await?;
            }
        }
        let Outcome { class, message } = outcome;
        ensure!(class.is_empty(), "client {client}: {class}: {message}: {event}");
    }
    Ok(())
}

fn has_lost(outcome: &Outcome) -> bool {
    outcome.class == LOST || LOST_RECORD.iter().all(|part| outcome.message.contains(part))
}

/// What the primary has logged of deadlocks in a database that ended a client's transaction. The writer
/// gives way, and tries again; a client does not.
fn deadlocks(stack: &Stack, database: &str) -> Result<Vec<String>> {
    let log = fs::read(stack.scratch().join("primary.log")).context("read the primary's log")?;
    let log = String::from_utf8_lossy(&log).into_owned();
    let is_one = |line: &&str| {
        line.contains("deadlock detected")
            && line.contains(&format!("@{database} "))
            && !line.contains(&format!("] forebay {SOURCE} "))
    };
    Ok(log.lines().filter(is_one).map(str::to_owned).collect())
}

/// A batch was tried again where the writer gave way, or somebody made its run first, and for no other
/// reason: a chain that somebody changes is waited for, and never read as it was before.
async fn check_retries(writer: &Writer) -> Result<()> {
    let metrics = Metrics::of(writer).await?;
    let retries = |labels: &[_]| metrics.sum("forebay_retries_total", labels).unwrap_or(0.0);
    let expected = ["55P03", "40P01", "40001"].map(|sqlstate| retries(&[("sqlstate", sqlstate)]));
    println!("given way, been in a deadlock, and found the run made: {expected:?} times");
    let claims = metrics.get("forebay_claims_total", &[])?;
    let is_expected = retries(&[]) == expected.iter().sum::<f64>() && claims == 1.0;
    ensure!(is_expected, "{}", writer.output().tail());
    Ok(())
}

/// All members are there, and those that one party has added stand in its order.
async fn check_chain(database: &Database, rounds: &[Round], clients: usize) -> Result<()> {
    let sql = "select c.name from collection_chain l join collection c on c.collection_id = l.child \
               join collection p on p.collection_id = l.parent where p.name = 'everybody' \
               order by l.\"position\"";
    let rows = database.primary().query(sql, &[]).await?;
    let members: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in &members {
        let party = member.split('/').next().unwrap_or_default();
        found.entry(party).or_default().push(member);
    }
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for party in found.keys() {
        let prepended = (0..rounds.len()).rev().flat_map(|round| [(round, 0), (round, 1)]);
        let extended = (0..rounds.len()).flat_map(|round| [(round, 2), (round, 3)]);
        let all = prepended.chain(extended);
        expected.insert(party, all.map(|(round, one)| format!("{party}/{round}/{one}")).collect());
    }
    ensure!(found.len() == clients + 1, "members of {:?}", found.keys().collect::<BTreeSet<_>>());
    for (party, members) in found {
        ensure!(members == expected[party], "{party}: {members:?}");
    }
    Ok(())
}
