//! A writer that would be in a deadlock with a client gives way, whoever of them waits first: the client
//! knows nothing of it, and the writer's batch comes again.

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Gate, Stack, Writer, metrics::Metrics, stack::unique, wait};
use serde::Deserialize;

use crate::program;
use crate::repository::{Repository, SOURCE};
use crate::session::{Outcome, Session};
use crate::waiting::{wait_until_blocked, wait_until_blocked_for_long};

/// What `give_way_events.py` has made.
#[derive(Deserialize)]
struct Events {
    template: String,
    record: String,
    chain: String,
    both: String,
}

/// A repository with a client and a writer.
struct Site {
    events: Events,
    repository: Repository,
    client: Session,
    writer: Writer,
}

impl Site {
    /// The writer's sessions have this setting.
    async fn create(setting: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let mut program = program::on(stack.primary(), "give_way_events.py")?;
        program.arg(unique("give_way"));
        let [events]: [Events; 1] =
            program::read(program).await?.try_into().ok().context("a line")?;
        let repository = Repository::copy(&stack, &events.template).await?;
        let database = repository.database();
        let sql = format!("alter role {} set {setting}", database.writer_role());
        database.primary().batch_execute(&sql).await?;
        let directory = stack.directory("clients")?;
        let directory = directory.to_str().context("a directory's name")?;
        let client = Session::start(&stack, database.name(), directory)?;
        let mut writer = Writer::start(&stack, repository.config())?;
        writer.wait_until_ready().await?;
        Ok(Self { events, repository, client, writer })
    }

    /// Both have done all that they wanted, and the writer's batch was tried again for this alone.
    async fn check(mut self, sqlstate: &str) -> Result<()> {
        let dead = self.repository.database().dead_letters(SOURCE).await?;
        ensure!(dead.is_empty(), "{dead:?}");
        let sql = "select array_agg(c.name order by l.\"position\"), \
                   (select count(*) from detector where id = 3) \
                   from collection_chain l join collection c on c.collection_id = l.child";
        let row = self.repository.database().primary().query_one(sql, &[]).await?;
        let (members, detectors): (Vec<String>, i64) = (row.get(0), row.get(1));
        ensure!(members == ["other/give_way", "run/give_way"] && detectors == 1, "{members:?}");
        let metrics = Metrics::of(&self.writer).await?;
        let retries = metrics.get("forebay_retries_total", &[("sqlstate", sqlstate)])?;
        ensure!(retries > 0.0, "{}", self.writer.output().tail());
        ensure!(
            metrics.get("forebay_claims_total", &[])? == 1.0,
            "{}",
            self.writer.output().tail()
        );
        self.writer.stop().await
    }
}

fn succeeded(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.class.is_empty(), "the client: {outcome:?}");
    Ok(())
}

/// The writer has the chain, and waits for the client's record. The client, which then waits for the
/// chain, would look for a deadlock after a second.
#[tokio::test]
async fn a_writer_that_waits_first_gives_up_before_the_client_looks() -> Result<()> {
    let mut site = Site::create("application_name = 'as ever'").await?;
    succeeded(&site.client.hold(&site.events.record).await?)?;
    let sent = site.repository.produce(std::slice::from_ref(&site.events.both)).await?;
    wait_until_blocked_for_long(site.repository.database()).await?;
    succeeded(&site.client.hold(&site.events.chain).await?)?;
    succeeded(&site.client.commit().await?)?;
    let database = site.repository.database();
    database.wait_until_all_merged(SOURCE, site.repository.topic(), &sent).await?;
    site.check("55P03").await
}

/// The client waits for the chain, which a writer has that only then comes to wait for the client's
/// record. Past the gate nothing bounds its waits.
#[tokio::test]
async fn a_writer_that_waits_last_looks_for_a_deadlock_before_the_client() -> Result<()> {
    let mut site = Site::create("forebay.gate = 'merge.after_fence'").await?;
    let gate = Gate::in_merge(site.repository.database()).await?;
    succeeded(&site.client.hold(&site.events.record).await?)?;
    let sent = site.repository.produce(std::slice::from_ref(&site.events.both)).await?;
    gate.wait_until_held().await.with_context(|| site.writer.output().tail())?;
    let database = site.repository.database();
    let open = async {
        wait_until_blocked(database).await?;
        gate.open().await
    };
    let (outcome, ()) = tokio::try_join!(site.client.hold(&site.events.chain), open)?;
    succeeded(&outcome)?;
    succeeded(&site.client.commit().await?)?;
    database.wait_until_all_merged(SOURCE, site.repository.topic(), &sent).await?;
    site.check("40P01").await
}

/// Whoever registers a dataset type locks `dataset`, and then other tables that a merge writes: while a
/// writer waits for it, it has none of them.
#[tokio::test]
async fn a_writer_waits_for_a_registration_before_it_has_anything() -> Result<()> {
    let mut site = Site::create("application_name = 'as ever'").await?;
    let database = site.repository.database();
    let registration = database.connect_primary().await?;
    registration.batch_execute("begin; lock table dataset in share row exclusive mode").await?;
    let sent = site.repository.produce(std::slice::from_ref(&site.events.both)).await?;
    let held = locks_of_who_waits(database).await?;
    ensure!(held.is_empty(), "while it waits for `dataset`, it has {held:?}");
    for table in ["collection", "collection_summary_dataset_type", "detector", "instrument"] {
        let sql = format!("lock table {table} in share row exclusive mode");
        registration.batch_execute(&sql).await.context(sql)?;
    }
    registration.batch_execute("commit").await?;
    succeeded(&site.client.apply(&site.events.chain).await?)?;
    database.wait_until_all_merged(SOURCE, site.repository.topic(), &sent).await?;
    let dead = database.dead_letters(SOURCE).await?;
    ensure!(dead.is_empty(), "{dead:?}");
    let deadlocks = Metrics::of(&site.writer).await?;
    let deadlocks = deadlocks.sum("forebay_retries_total", &[("sqlstate", "40P01")]);
    ensure!(deadlocks.is_none(), "{deadlocks:?} deadlocks");
    site.writer.stop().await
}

/// Waits until a session waits for `dataset`, and answers which locks it has on the repository's other
/// tables that are in the way of a registration.
async fn locks_of_who_waits(database: &Database) -> Result<Vec<String>> {
    let sql = "select array(select h.relation::regclass || ' ' || h.mode from pg_locks h \
                            join pg_class c on c.oid = h.relation \
                            where h.pid = w.pid and h.granted \
                              and c.relnamespace = 'public'::regnamespace and c.relkind = 'r' \
                              and h.mode not in ('AccessShareLock', 'RowShareLock')) \
               from pg_locks w where not w.granted and w.relation = 'dataset'::regclass";
    wait::until("a session that waits for `dataset`", || async move {
        Ok(database.primary().query_opt(sql, &[]).await?.map(|row| row.get(0)))
    })
    .await
}
