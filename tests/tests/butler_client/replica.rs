//! The client on the replica, where it finds what a writer has written.

use anyhow::{Context, Result, ensure};
use forebay_tests::{Delivery, Endpoint, Stack, Writer, endpoint::SUPERUSER, stack::unique};
use serde::Deserialize;
use serde_json::Value;

use crate::program;
use crate::repository::{Repository, SOURCE};

/// What `pod_events.py` has made.
#[derive(Deserialize)]
struct Pods {
    template: String,
    client: String,
    events: Vec<String>,
}

type Answer = (String, Value);

/// Queries of datasets, records, chains and summaries, and the files' contents: all answers are those
/// that the client gives for a repository which it has written itself, from the same events.
#[tokio::test]
async fn the_client_reads_on_the_replica_what_it_would_have_written() -> Result<()> {
    let stack = Stack::from_env()?;
    let directory = stack.directory("datastore")?;
    let directory = directory.to_str().context("a directory's name")?.to_owned();
    let mut program = program::on(stack.primary(), "pod_events.py")?;
    program.args([&unique("pods"), &directory]);
    let [pods]: [Pods; 1] = program::read(program).await?.try_into().ok().context("one line")?;

    let repository = Repository::copy(&stack, &pods.template).await?;
    let reader = create_reader(&repository).await?;
    let mut writer = Writer::start(&stack, repository.config())?;
    let sent = repository.produce(&pods.events).await?;
    wait_on_the_replica(&repository, &reader, &sent)
        .await
        .with_context(|| writer.output().tail())?;
    let read = answers(stack.replica(), &reader, repository.database().name(), &directory).await?;
    writer.stop().await?;

    let written = answers(stack.primary(), SUPERUSER, &pods.client, &directory).await?;
    for ((question, answer), (_, expected)) in read.iter().zip(&written) {
        ensure!(answer == expected, "{question}: {answer:#}, and the client itself: {expected:#}");
        ensure!(*answer != Value::Array(Vec::new()), "{question}: nothing is found");
    }
    ensure!(read.len() == written.len() && read.len() > 30, "{} questions", read.len());
    Ok(())
}

/// Makes a role that may read, also the tables that are still to be made.
async fn create_reader(repository: &Repository) -> Result<String> {
    let role = unique("reader");
    let sql = format!(
        "create role {role} login in role forebay_reader; \
         grant select on all tables in schema public to {role}; \
         alter default privileges in schema public grant select on tables to {role}"
    );
    repository.database().primary().batch_execute(&sql).await.context("make a reader")?;
    Ok(role)
}

/// Waits as a reader does, for each event.
async fn wait_on_the_replica(
    repository: &Repository,
    reader: &str,
    sent: &[Delivery],
) -> Result<()> {
    let replica = repository.database().connect_replica_as(reader).await?;
    for Delivery { partition, offset } in sent {
        let topic = repository.topic().name();
        let call =
            format!("call forebay.wait_for('{SOURCE}', '{topic}', {partition}, {offset}, '60 s')");
        let outcome: String = replica.query_one(&call, &[]).await?.get(0);
        ensure!(outcome == "merged", "offset {offset}: {outcome}");
    }
    Ok(())
}

async fn answers(
    server: &Endpoint,
    role: &str,
    database: &str,
    directory: &str,
) -> Result<Vec<Answer>> {
    let mut program = program::as_role(server, role, "client_answers.py")?;
    program.args([database, directory]);
    program::read(program).await
}
