//! The world's faults, raised by a table for one event of a batch: as if that event were to blame.

use anyhow::{Context, Result};
use forebay_tests::wait;
use futures_util::future::try_join_all;
use tokio_postgres::Client;

use crate::scene::{ABORTS, CULPRIT, Scene};

/// Whatever the number of aborts, none of these makes a dead letter.
const NEVER: &[&str] = &[
    "08000", "08003", "08006", "25006", "40000", "40001", "40003", "40P01", "53000", "53100",
    "53200", "53300", "53400", "55P03", "57000", "57014", "57P01", "57P02", "57P03", "58000",
    "58030",
];

#[tokio::test]
async fn an_outage_is_never_an_events_fault() -> Result<()> {
    let scene = Scene::create("outage").await?;
    let cases = NEVER.iter().map(|sqlstate| async {
        let name = format!("t{}", sqlstate.to_lowercase());
        let mut case = scene.raise(&name, sqlstate, Some(CULPRIT)).await?;
        case.wait_for_aborts(sqlstate, ABORTS).await?;
        case.check_held_up().await?;
        case.heal().await?;
        case.check_whole().await?;
        case.writer.stop().await
    });
    try_join_all(cases).await.map(drop)
}

/// A deadlock with somebody else's transaction, in which the merge is the one that is ended.
#[tokio::test]
async fn a_deadlock_is_tried_again() -> Result<()> {
    let scene = Scene::create("deadlock").await?;
    // The merge, with its rows written, waits at a gate, and then for a row that is held. Only the
    // last one to wait in a circle sees the circle.
    let role = scene.database.writer_role();
    let sql = format!(
        "create table item (id int4 primary key, note text);
         insert into item values (-1, 'old');
         create function take() returns trigger language plpgsql as $$begin
             perform pg_advisory_xact_lock_shared({GATE});
             perform from public.item where id = -1 for update;
             return null;
         end$$;
         create trigger take after insert on item for each row
             when (new.id = {CULPRIT}) execute function take();
         alter role {role} set deadlock_timeout = '10ms'"
    );
    scene.database.primary().batch_execute(&sql).await?;
    scene.register("item").await?;
    let gate = scene.database.connect_primary().await?;
    gate.batch_execute(&format!("select pg_advisory_lock({GATE})")).await?;
    let foreground = scene.database.connect_primary().await?;
    foreground.batch_execute("set deadlock_timeout = '1h'; begin").await?;
    foreground.batch_execute("update item set note = 'held' where id = -1").await?;

    let mut case = scene.start("item", |id| format!(r#"{{"id": {id}, "note": "new"}}"#)).await?;
    wait_for_waiter(&scene, &gate).await.with_context(|| case.writer.output().tail())?;
    let own: i32 = foreground.query_one("select pg_backend_pid()", &[]).await?.get(0);
    let insert = format!("insert into item values ({CULPRIT}, 'foreground')");
    let inserted = foreground.batch_execute(&insert);
    let opened = async {
        let sql = "select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'";
        wait::until("the foreground to wait for the merge", || async {
            Ok(scene.database.primary().query_opt(sql, &[&own]).await?)
        })
        .await?;
        let open = format!("select pg_advisory_unlock({GATE})");
        anyhow::Ok(gate.batch_execute(&open).await?)
    };
    let (inserted, opened) = tokio::join!(inserted, opened);
    opened?;
    inserted.context("the foreground was ended, not the merge")?;
    foreground.batch_execute("commit").await?;
    case.wait_for_aborts("40P01", 1).await?;
    case.check_whole().await?;
    let sql = "select note from item where id = $1";
    let note = scene.database.primary().query_one(sql, &[&CULPRIT]).await?;
    assert_eq!(note.get::<_, &str>(0), "new");
    case.writer.stop().await
}

/// The advisory lock of the deadlock's gate.
const GATE: i64 = 7;

async fn wait_for_waiter(scene: &Scene, holder: &Client) -> Result<()> {
    let own: i32 = holder.query_one("select pg_backend_pid()", &[]).await?.get(0);
    let sql = "select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))";
    wait::until("the merge to come to the gate", || async {
        Ok(scene.database.primary().query_opt(sql, &[&own]).await?.map(drop))
    })
    .await
}

/// No connection is left for the writer.
#[tokio::test]
async fn too_many_connections_are_waited_for() -> Result<()> {
    let scene = Scene::create("connections").await?;
    let role = scene.database.writer_role();
    let sql =
        format!("create table item (id int4 primary key); alter role {role} connection limit 0");
    scene.database.primary().batch_execute(&sql).await?;
    scene.register("item").await?;
    let mut case = scene.start("item", |id| format!(r#"{{"id": {id}}}"#)).await?;
    case.wait_for_aborts("53300", 3).await?;
    let sql = format!("alter role {role} connection limit -1");
    scene.database.primary().batch_execute(&sql).await?;
    case.check_whole().await?;
    case.writer.stop().await
}

/// The owner's own rights are looked at before the first write.
#[tokio::test]
async fn what_the_owner_may_not_is_waited_for() -> Result<()> {
    let scene = Scene::create("grants").await?;
    let owner = format!("{}_owner", scene.database.name());
    let role = format!("create role {owner}");
    scene.database.primary().batch_execute(&role).await?;
    let insert = [
        format!("revoke insert on ungranted from {owner}"),
        format!("grant insert on ungranted to {owner}"),
    ];
    let row_security = [
        "alter table secured enable row level security, force row level security".to_owned(),
        "alter table secured no force row level security".to_owned(),
    ];
    let cases = [("ungranted", "42501", insert), ("secured", "FB004", row_security)];
    let cases = cases.map(|(name, sqlstate, [harm, cure])| {
        let (scene, owner) = (&scene, &owner);
        async move {
            let client = scene.database.primary();
            let sql = format!(
                "create table {name} (id int4 primary key); alter table {name} owner to {owner}"
            );
            client.batch_execute(&sql).await?;
            scene.register(name).await?;
            client.batch_execute(&harm).await?;
            let mut case = scene.start(name, |id| format!(r#"{{"id": {id}}}"#)).await?;
            case.wait_for_aborts(sqlstate, ABORTS).await?;
            case.check_held_up().await?;
            client.batch_execute(&cure).await?;
            case.check_whole().await?;
            case.writer.stop().await
        }
    });
    try_join_all(cases).await.map(drop)
}
