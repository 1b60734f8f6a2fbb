//! Who may do what, and with whose rights a target's own code runs.

use anyhow::{Context, Result};
use forebay_tests::{Database, Stack};

use crate::batch::{Source, rejections, sqlstate};

#[tokio::test]
async fn a_writer_does_nothing_but_stage_and_merge() -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "writer_rights").await?;
    database
        .primary()
        .batch_execute("create table t (id int4 primary key); select forebay.add_target('t')")
        .await?;
    let staging = "select format('forebay_staging.t%s_0', id) from forebay.target where relation = 't'::regclass";
    let staging: String = database.primary().query_one(staging, &[]).await?.get(0);
    let writer = database.connect_primary_as(database.writer_role()).await?;
    for forbidden in [
        "select * from t",
        "insert into t values (1)",
        "select * from STAGING",
        "delete from STAGING",
        "create trigger x before insert on STAGING execute function suppress_redundant_updates_trigger()",
        "create table forebay_staging.mine ()",
        "update forebay.progress set next_offset = 7",
        "insert into forebay.target (relation, key, on_conflict) values ('pg_authid', '{oid}', 'update')",
        "select * from forebay.dead_letter",
        "delete from forebay.dead_letter",
        "select * from forebay.outbox",
        "delete from forebay.outbox",
        "select forebay.merge_staged(0, '{}', '{}', '{}', null, '{}')",
        "select forebay.advance_progress('source', '{}')",
        "select forebay.register_target('t'::regclass, null, 'ignore', null, null)",
        "select forebay.create_staging(1, 't'::regclass, 0)",
        "select forebay.end_claimants('source', 'topic', '{0}')",
        "select forebay.end_owners('source', 'topic', '{0}', '0')",
        "select * from forebay.writer_heartbeat",
        "update forebay.writer_session set worker = 1",
        "insert into forebay.writer_session (backend_pid, backend_start, writer, worker) \
         select pid, backend_start, gen_random_uuid(), 0 from pg_stat_activity",
        "select forebay.butler_resolve_staged(0, 'public', 0, 0, '{}', '{}', '{}', '{}')",
        "select forebay.butler_finish_resolved('{}')",
        "select forebay.butler_register_types('public', '[]')",
        "select forebay.stage_more(0, '{}')",
    ] {
        let sql = forbidden.replace("STAGING", &staging);
        let error = writer.batch_execute(&sql).await.err().context(forbidden)?;
        assert_eq!(sqlstate(&error), "42501", "{forbidden}: {error}");
    }
    let mut source = Source::claim(&writer).await?;
    source.merge("t", &["0, 0, 'u'; 1"]).await?;
    Ok(())
}

/// A trigger of the target's owner runs as that owner, may not become anybody else, and leaves no
/// setting behind; a trigger that raises rejects its event alone.
#[tokio::test]
async fn the_owners_code_runs_with_the_owners_rights() -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "owner_rights").await?;
    let owner = format!("{}_owner", database.name());
    let client = database.primary();
    client
        .batch_execute(&format!(
            "create role {owner};
             create table t (id int4 primary key, note text);
             create table seen (id int4, who text);
             create function spy() returns trigger language plpgsql as $$
             begin
                 if new.note = 'escape' then
                     execute 'set role postgres';
                 elsif new.note = 'refuse' then
                     raise exception 'not this one';
                 end if;
                 perform set_config('work_mem', '64kB', false);
                 insert into public.seen values (new.id, current_user);
                 return new;
             end $$;
             create trigger before_row before insert on t for each row execute function spy();
             create trigger after_row after insert on t for each row execute function spy();
             alter table t owner to {owner}; alter table seen owner to {owner};
             alter function spy() owner to {owner};
             select forebay.add_target('t');"
        ))
        .await?;
    let writer = database.connect_primary_as(database.writer_role()).await?;
    let before: String = writer.query_one("show work_mem", &[]).await?.get(0);
    let mut source = Source::claim(&writer).await?;
    let plain = source.merge("t", &["0, 0, 'u'; 1, 'set'"]).await?;
    assert_eq!(plain["path"], "walk", "a trigger sees its own event alone");
    let answer = source
        .merge("t", &["0, 0, 'u'; 2, 'walk'", "1, 0, 'u'; 3, 'escape'", "2, 0, 'u'; 4, 'refuse'"])
        .await?;
    let rejected: Vec<_> =
        rejections(&answer)?.into_iter().map(|(event, sqlstate, _)| (event, sqlstate)).collect();
    assert_eq!(rejected, [(1, "42501".to_owned()), (2, "P0001".to_owned())]);
    assert_eq!(answer["rejected"][1]["target"], "public.t", "{answer}");
    let seen: String = client
        .query_one("select string_agg(distinct id || ' ' || who, ', ') from seen", &[])
        .await?
        .get(0);
    assert_eq!(seen, format!("1 {owner}, 2 {owner}"));
    assert_eq!(writer.query_one("show work_mem", &[]).await?.get::<_, String>(0), before);
    let user: String = writer.query_one("select current_user::text", &[]).await?.get(0);
    assert_eq!(user, database.writer_role());
    Ok(())
}

/// What the owner may not do on its own table is the world's fault: nothing is merged, and no
/// event is rejected for it.
#[tokio::test]
async fn a_missing_right_of_the_owner_aborts_the_batch() -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "owner_right").await?;
    let owner = format!("{}_owner", database.name());
    let client = database.primary();
    client
        .batch_execute(&format!(
            "create role {owner}; create table t (id int4 primary key);
             alter table t owner to {owner}; select forebay.add_target('t');
             revoke insert on t from {owner};"
        ))
        .await?;
    let mut source = Source::claim(client).await?;
    let error = source.merge("t", &["0, 0, 'u'; 1"]).await.err().context("an error")?;
    assert_eq!(sqlstate(&error), "42501");
    client.batch_execute(&format!("grant insert on t to {owner}")).await?;
    source.merge("t", &["0, 0, 'u'; 1"]).await?;
    Ok(())
}

/// A deferred trigger of the caller's own table fires when the merge makes all constraints
/// immediate. It must not fire with the extension owner's rights.
#[tokio::test]
async fn a_callers_deferred_trigger_keeps_the_callers_rights() -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "deferred").await?;
    let role = database.writer_role();
    database
        .primary()
        .batch_execute(&format!(
            "create table t (id int4 primary key); select forebay.add_target('t');
             create schema lair authorization {role};"
        ))
        .await?;
    let writer = database.connect_primary_as(role).await?;
    writer
        .batch_execute(
            "create table lair.bait (who text);
             create table lair.caught (who text);
             create function lair.spring() returns trigger language plpgsql as $$
             begin insert into lair.caught values (current_user); return null; end $$;
             create constraint trigger spring after insert on lair.bait
                 deferrable initially deferred for each row execute function lair.spring();",
        )
        .await?;
    let mut source = Source::claim(&writer).await?;
    source.merge_after("insert into lair.bait values ('x')", "t", &["0, 0, 'u'; 1"]).await?;
    let caught: String = writer.query_one("select who from lair.caught", &[]).await?.get(0);
    assert_eq!(caught, role);
    Ok(())
}
