//! Staging tables: slots, leftovers, changed targets.

use anyhow::{Context, Result};
use forebay_tests::{Database, Stack, wait};

use crate::batch::{Source, rejections, sqlstate};

async fn database(prefix: &str) -> Result<Database> {
    let database = Database::create(&Stack::from_env()?, prefix).await?;
    database
        .primary()
        .batch_execute(
            "create table t (id int4 primary key, v text); select forebay.add_target('t')",
        )
        .await?;
    Ok(database)
}

const STAGE: &str = "select slot, staging::text from forebay.stage('{t}')";

#[tokio::test]
async fn a_slot_belongs_to_one_transaction() -> Result<()> {
    let database = database("slots").await?;
    let (one, two) = (database.connect_primary().await?, database.connect_primary().await?);
    one.batch_execute("begin").await?;
    two.batch_execute("begin").await?;
    assert_eq!(one.query_one(STAGE, &[]).await?.get::<_, i32>(0), 0);
    assert_eq!(two.query_one(STAGE, &[]).await?.get::<_, i32>(0), 1);
    one.batch_execute("rollback").await?;
    one.batch_execute("begin").await?;
    assert_eq!(one.query_one(STAGE, &[]).await?.get::<_, i32>(0), 0);
    one.batch_execute("commit").await?;
    two.batch_execute("commit").await?;
    Ok(())
}

/// A session that finds the first slot taken, and makes the next one, has it alone.
#[tokio::test]
async fn a_slot_that_is_being_made_is_not_made_twice() -> Result<()> {
    let database = database("new_slots").await?;
    let (one, two) = (database.connect_primary().await?, database.connect_primary().await?);
    let three = database.connect_primary().await?;
    for client in [&one, &two, &three] {
        client.batch_execute("begin").await?;
    }
    assert_eq!(one.query_one(STAGE, &[]).await?.get::<_, i32>(0), 0);
    assert_eq!(two.query_one(STAGE, &[]).await?.get::<_, i32>(0), 1);
    let waiting = "select from pg_locks l where not granted
                   and l.database = (select oid from pg_database where datname = current_database())";
    let commit = async {
        wait::until("the third session to wait", || async {
            Ok(database.primary().query_opt(waiting, &[]).await?.map(drop))
        })
        .await?;
        anyhow::Ok(two.batch_execute("commit").await?)
    };
    let stage = async { anyhow::Ok(three.query_one(STAGE, &[]).await?) };
    let (staged, ()) = tokio::try_join!(stage, commit)?;
    assert_eq!(staged.get::<_, i32>(0), 2);
    Ok(())
}

#[tokio::test]
async fn leftovers_are_never_merged_and_do_not_grow() -> Result<()> {
    let database = database("leftovers").await?;
    let client = database.primary();
    let mut source = Source::claim(client).await?;
    client.batch_execute("begin").await?;
    let staging: String = client.query_one(STAGE, &[]).await?.get(1);
    client
        .batch_execute(&format!(
            "insert into {staging} select pg_current_xact_id(), 0, n, 'u', null, n, repeat('x', 100)
             from generate_series(1, 20000) n; commit"
        ))
        .await?;
    let size = &format!("select pg_relation_size('{staging}')");
    assert!(client.query_one(size, &[]).await?.get::<_, i64>(0) > 1 << 16);
    client.batch_execute(&format!("begin; {STAGE}; rollback")).await?;
    assert_eq!(client.query_one(size, &[]).await?.get::<_, i64>(0), 0);
    let answer = source.merge("t", &["0, 0, 'u'; 1, 'one'"]).await?;
    assert_eq!(answer["targets"][0]["inserted"], 1, "{answer}");
    assert_eq!(client.query_one("select count(*) from t", &[]).await?.get::<_, i64>(0), 1);
    assert!(client.query_one(size, &[]).await?.get::<_, i64>(0) < 1 << 16);
    Ok(())
}

#[tokio::test]
async fn a_merge_counts_what_was_staged() -> Result<()> {
    let database = database("counted").await?;
    let client = database.primary();
    let token: String = client
        .query_one(
            "select token::text from forebay.claim('source', 'topic', '{0}', '{0}', 'test')",
            &[],
        )
        .await?
        .get(0);
    client.batch_execute("begin").await?;
    client.query_one(STAGE, &[]).await?;
    let staged = "row('t'::regclass, 1)::forebay.staged";
    for (staged, expected) in [(staged, "FB002"), (&format!("{staged}, {staged}"), "22023")] {
        let merge = format!(
            "select forebay.merge(0, 'source', array[row('topic', 0, '{token}', 0, 1, 0, 0, null)
                 ::forebay.advance], array[{staged}])"
        );
        client.batch_execute("savepoint staged").await?;
        let error = client.batch_execute(&merge).await.err().context("an error")?;
        assert_eq!(sqlstate(&error), expected);
        client.batch_execute("rollback to savepoint staged").await?;
    }
    client.batch_execute("rollback").await?;
    let next_offset: i64 =
        client.query_one("select next_offset from forebay.progress", &[]).await?.get(0);
    assert_eq!(next_offset, 0);
    Ok(())
}

#[tokio::test]
async fn a_changed_target_is_staged_anew() -> Result<()> {
    let database = database("altered").await?;
    let client = database.primary();
    let mut source = Source::claim(client).await?;
    source.merge("t", &["0, 0, 'u'; 1, 'one'"]).await?;
    client.batch_execute("alter table t add n int4 default 3").await?;
    source.merge("t", &["0, 0, 'u'; 2, 'two', 2"]).await?;
    client.batch_execute("alter table t drop v").await?;
    source.merge("t", &["0, 0, 'u'; 3, 9"]).await?;
    let rows: String =
        client.query_one("select string_agg(t::text, ' ' order by id) from t", &[]).await?.get(0);
    assert_eq!(rows, "(1,3) (2,2) (3,9)");
    let oid: u32 = client.query_one("select 't'::regclass::oid", &[]).await?.get(0);
    client.batch_execute("drop table t").await?;
    let error =
        client.batch_execute(&format!("select forebay.stage(array[{oid}::regclass])")).await;
    assert_eq!(error.as_ref().err().map(sqlstate), Some("FB003"));
    Ok(())
}

/// The check of an owner's type must run with that owner's rights, also where the column had
/// another type when the table was registered.
#[tokio::test]
async fn the_code_of_a_columns_type_runs_as_the_targets_owner() -> Result<()> {
    let database = database("retyped").await?;
    let owner = format!("{}_owner", database.name());
    let client = database.primary();
    client
        .batch_execute(&format!(
            "create role {owner};
             create table seen (who text);
             create function spy(value text) returns boolean language plpgsql as $$
             begin insert into public.seen values (current_user); return value <> 'bad'; end $$;
             create domain watched as text check (spy(value));
             alter table t alter v type watched;
             alter table t owner to {owner}; alter table seen owner to {owner};
             alter function spy owner to {owner}; alter domain watched owner to {owner};
             truncate seen;"
        ))
        .await?;
    let writer = database.connect_primary_as(database.writer_role()).await?;
    let mut source = Source::claim(&writer).await?;
    let answer = source.merge("t", &["0, 0, 'u'; 1, 'good'", "1, 0, 'u'; 2, 'bad'"]).await?;
    let rejected = rejections(&answer)?;
    assert_eq!(
        rejected.first().map(|(event, sqlstate, _)| (*event, &**sqlstate)),
        Some((1, "23514"))
    );
    let seen: String =
        client.query_one("select string_agg(distinct who, ', ') from seen", &[]).await?.get(0);
    assert_eq!(seen, owner);
    Ok(())
}

#[tokio::test]
async fn merging_again_writes_nothing() -> Result<()> {
    let database = database("again").await?;
    let client = database.primary();
    let mut source = Source::claim(client).await?;
    let rows = ["0, 0, 'u'; 1, 'one'", "1, 0, 'u'; 2, null"];
    source.merge("t", &rows).await?;
    let versions = "select string_agg(xmin::text || ' ' || xmax::text, ', ' order by id) from t";
    let before: String = client.query_one(versions, &[]).await?.get(0);
    let answer = source.merge("t", &rows).await?;
    assert_eq!(answer["path"], "set");
    assert_eq!(answer["targets"][0]["unchanged"], 2, "{answer}");
    let after: String = client.query_one(versions, &[]).await?.get(0);
    assert_eq!(before, after, "a row was locked or written");
    Ok(())
}
