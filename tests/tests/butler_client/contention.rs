//! Clients and a writer write the same at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Stack, Writer, stack::unique};
use futures_util::future::try_join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Deserialize;

use crate::comparison::compare;
use crate::program;
use crate::repository::{Repository, SOURCE};
use crate::session::{Outcome, Session};

/// How many rounds, each begun by all at once.
const ROUNDS: usize = 25;

/// How many clients there are beside the writer.
const CLIENTS: usize = 3;

/// Before each of its events, the stream pauses at random, so that it meets the clients everywhere: at
/// most so many milliseconds.
const PAUSE: u64 = 150;

/// What a client raises that has lost a race for datasets, against whomever. The existing service then
/// applies the event once more.
const LOST: &str = "ConflictingDefinitionError";

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
    /// Runs that clients register first.
    runs: Vec<String>,
}

/// Types, runs, records, datasets and one chain: nobody fails, and nothing of anybody's is lost.
#[tokio::test]
async fn clients_and_a_writer_get_along() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut program = program::on(stack.primary(), "contention_events.py")?;
    program.args([unique("contention"), ROUNDS.to_string(), CLIENTS.to_string()]);
    let [made]: [Contention; 1] =
        program::read(program).await?.try_into().ok().context("a line")?;
    let repository = Repository::copy(&stack, &made.template).await?;
    let name = repository.database().name();
    let directory = stack.directory("clients")?;
    let directory = directory.to_str().context("a directory's name")?;
    let sessions = (0..CLIENTS).map(|_| Session::start(&stack, name, directory));
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
    check_chain(repository.database(), &made.rounds).await?;
    let mut differences = compare(&stack, &made.client, name).await?;
    differences.retain(|difference| difference.table != "collection_chain");
    ensure!(differences.is_empty(), "{differences:#?}");
    let deadlocks = deadlocks(&stack, name)?;
    ensure!(deadlocks.is_empty(), "{deadlocks:#?}");
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
        if outcome.class == LOST && event != own {
            outcome = session.apply(event).await?;
        }
        let Outcome { class, message } = outcome;
        ensure!(class.is_empty(), "client {client}: {class}: {message}: {event}");
    }
    Ok(())
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

/// All members are there, and those that one party has added stand in its order.
async fn check_chain(database: &Database, rounds: &[Round]) -> Result<()> {
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
    ensure!(found.len() == CLIENTS + 1, "members of {:?}", found.keys().collect::<BTreeSet<_>>());
    for (party, members) in found {
        ensure!(members == expected[party], "{party}: {members:?}");
    }
    Ok(())
}
