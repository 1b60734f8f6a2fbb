//! Who comes second, while the first one's transaction is still open, meets the same whether a writer is
//! one of the two or not.

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Gate, Stack, Writer, stack::unique};
use serde::Deserialize;

use crate::comparison::compare;
use crate::program;
use crate::repository::{Repository, SOURCE};
use crate::session::Session;
use crate::waiting::wait_until_blocked;

/// What `race_events.py` has made.
#[derive(Deserialize)]
struct Races {
    template: String,
    races: Vec<Race>,
    passes: [Race; 2],
}

#[derive(Deserialize)]
struct Race {
    name: String,
    /// The event of who comes first.
    held: String,
    /// The event of who comes second.
    contended: String,
}

/// The classes of the exceptions that the second one's first try and its next one end with.
type Outcome = (String, String);

impl Races {
    async fn make(stack: &Stack) -> Result<Self> {
        let mut program = program::on(stack.primary(), "race_events.py")?;
        program.arg(unique("race"));
        let [made]: [Self; 1] = program::read(program).await?.try_into().ok().context("a line")?;
        Ok(made)
    }
}

/// Each race between two clients, a writer and a client, a client and a writer: all three leave the same
/// rows, and a client that loses is told the same by whoever has won.
#[tokio::test]
async fn a_loser_meets_the_same_whoever_wins() -> Result<()> {
    let stack = Stack::from_env()?;
    let made = Races::make(&stack).await?;
    let directory = stack.directory("clients")?;
    let directory = directory.to_str().context("a directory's name")?;
    let copies = [0, 1, 2].map(|_| Repository::copy(&stack, &made.template));
    let [clients, to_writer, to_client] = copies;
    let (clients, to_writer, to_client) = tokio::try_join!(clients, to_writer, to_client)?;
    let [one, other, against_writer, before_writer] = [&clients, &clients, &to_writer, &to_client]
        .map(|repository| Session::start(&stack, repository.database().name(), directory));
    let (mut one, mut other) = (one?, other?);
    let (mut against_writer, mut before_writer) = (against_writer?, before_writer?);
    set_gate(to_writer.database()).await?;
    let [mut first, mut second] = [
        Writer::start(&stack, to_writer.config().set("rejections.max_share", 1.0))?,
        Writer::start(&stack, to_client.config().set("rejections.max_share", 1.0))?,
    ];
    for race in &made.races {
        let (expected, found, ()) = tokio::try_join!(
            between_clients(clients.database(), &mut one, &mut other, race),
            lose_to_writer(&to_writer, &mut against_writer, race),
            lose_to_client(&to_client, &mut before_writer, race),
        )
        .with_context(|| race.name.clone())?;
        ensure!(found == expected, "{}: {found:?}, and between clients {expected:?}", race.name);
    }
    let names = [&to_writer, &to_client].map(|repository| repository.database().name());
    for name in names {
        let differences = compare(&stack, clients.database().name(), name).await?;
        ensure!(differences.is_empty(), "{name}: {differences:#?}");
    }
    for (repository, race) in [(&to_writer, &[][..]), (&to_client, &["uuid", "data_id", "name"])] {
        let dead = repository.database().dead_letters(SOURCE).await?;
        ensure!(dead.len() == race.len(), "{race:?}: {dead:?}");
    }
    first.stop().await?;
    second.stop().await
}

/// As between clients: a writer beside a client's open transaction, and a client beside a writer's.
#[tokio::test]
async fn who_removes_members_of_a_chain_waits_for_nobody_who_does() -> Result<()> {
    let stack = Stack::from_env()?;
    let Races { template, passes: [of_client, of_writer], .. } = Races::make(&stack).await?;
    let repository = Repository::copy(&stack, &template).await?;
    let database = repository.database();
    let directory = stack.directory("clients")?;
    let directory = directory.to_str().context("a directory's name")?;
    let mut client = Session::start(&stack, database.name(), directory)?;
    set_gate(database).await?;
    let mut writer = Writer::start(&stack, repository.config())?;

    let held = client.hold(&of_client.held).await?;
    ensure!(held.class.is_empty(), "{held:?}");
    let sent = repository.produce(&[of_client.contended]).await?;
    database.wait_until_all_merged(SOURCE, repository.topic(), &sent).await?;
    client.commit().await?;

    let gate = Gate::in_merge(database).await?;
    let sent = repository.produce(&[of_writer.held]).await?;
    gate.wait_until_held().await?;
    let met = client.apply(&of_writer.contended).await?;
    ensure!(met.class.is_empty(), "{met:?}");
    gate.open().await?;
    database.wait_until_all_merged(SOURCE, repository.topic(), &sent).await?;

    let sql = "select count(*) from collection_chain c join collection p on p.collection_id = c.parent \
               where p.name in ('chain/client', 'chain/writer')";
    let members: i64 = database.primary().query_one(sql, &[]).await?.get(0);
    ensure!(members == 0, "{members} members are left");
    writer.stop().await
}

/// Lets a database's writer stop where it has written, and not committed.
async fn set_gate(database: &Database) -> Result<()> {
    let sql =
        format!("alter role {} set forebay.gate = 'merge.after_write'", database.writer_role());
    database.primary().batch_execute(&sql).await.context("set the gate")
}

async fn between_clients(
    database: &Database,
    holder: &mut Session,
    loser: &mut Session,
    race: &Race,
) -> Result<Outcome> {
    let held = holder.hold(&race.held).await?;
    ensure!(held.class.is_empty(), "{held:?}");
    let release = async {
        wait_until_blocked(database).await?;
        holder.commit().await
    };
    let (outcome, _) = tokio::try_join!(contend(loser, race), release)?;
    Ok(outcome)
}

async fn lose_to_writer(
    repository: &Repository,
    loser: &mut Session,
    race: &Race,
) -> Result<Outcome> {
    let gate = Gate::in_merge(repository.database()).await?;
    let sent = repository.produce(std::slice::from_ref(&race.held)).await?;
    gate.wait_until_held().await?;
    let release = async {
        wait_until_blocked(repository.database()).await?;
        gate.open().await
    };
    let (outcome, ()) = tokio::try_join!(contend(loser, race), release)?;
    repository.database().wait_until_all_merged(SOURCE, repository.topic(), &sent).await?;
    Ok(outcome)
}

async fn lose_to_client(repository: &Repository, holder: &mut Session, race: &Race) -> Result<()> {
    let held = holder.hold(&race.held).await?;
    ensure!(held.class.is_empty(), "{held:?}");
    let sent = repository.produce(std::slice::from_ref(&race.contended)).await?;
    wait_until_blocked(repository.database()).await?;
    holder.commit().await?;
    repository.database().wait_until_all_merged(SOURCE, repository.topic(), &sent).await
}

/// Applies the event, and once more if it is refused, as the existing service does.
async fn contend(loser: &mut Session, race: &Race) -> Result<Outcome> {
    let first = loser.apply(&race.contended).await?.class;
    let next = loser.apply(&race.contended).await?.class;
    Ok((first, next))
}
