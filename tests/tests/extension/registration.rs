//! What may be a target, and who may say so.

use anyhow::{Context, Result};
use forebay_tests::{Database, Stack};

use crate::batch::sqlstate;

#[tokio::test]
async fn what_cannot_be_a_target_is_refused_with_its_reason() -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "register").await?;
    let client = database.primary();
    client
        .batch_execute(
            "create table plain (id int4 primary key, v int4);
             create table no_key (id int4);
             create table nullable (id int4 unique);
             create table late (id int4 primary key deferrable);
             create table partial (id int4 not null); create unique index on partial (id) where id > 0;
             create table named (id int4 primary key, _batch int4);
             create view seen as select 1 as id;",
        )
        .await?;
    let cases = [
        ("'no_key'", "FB004"),
        ("'no_key', key => '{id}'", "FB004"),
        ("'nullable', key => '{id}'", "FB004"),
        ("'late'", "FB004"),
        ("'partial', key => '{id}'", "FB004"),
        ("'named'", "FB004"),
        ("'seen', key => '{id}'", "FB004"),
        ("'pg_class'", "FB004"),
        ("'forebay.progress'", "FB004"),
        ("'plain', key => '{v}'", "FB004"),
        ("'plain', key => '{nothing}'", "FB004"),
        ("'plain', on_conflict => 'newest'", "22023"),
        ("'plain', on_conflict => 'append', key => '{id}'", "22023"),
        ("'plain', compare => '{v}'", "22023"),
        ("'plain', on_conflict => 'identical', compare => '{w}'", "42703"),
        ("null", "22004"),
    ];
    for (arguments, expected) in cases {
        let error = client
            .batch_execute(&format!("select forebay.add_target({arguments})"))
            .await
            .err()
            .with_context(|| format!("{arguments} is taken"))?;
        assert_eq!(sqlstate(&error), expected, "{arguments}: {error}");
    }
    client.batch_execute("select forebay.add_target('plain')").await?;
    client.batch_execute("select forebay.add_target('plain', on_conflict => 'ignore')").await?;
    let row = client
        .query_one("select count(*), max(on_conflict) from forebay.target where relation = 'plain'::regclass", &[])
        .await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (1, "ignore"));
    client.batch_execute("select forebay.drop_target('plain')").await?;
    let error = client.batch_execute("select forebay.drop_target('plain')").await.err();
    assert_eq!(error.as_ref().map(sqlstate), Some("FB003"));
    Ok(())
}

#[tokio::test]
async fn only_the_owner_of_a_table_registers_it() -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "owner").await?;
    let (owner, other) =
        (format!("{}_owner", database.name()), format!("{}_other", database.name()));
    database
        .primary()
        .batch_execute(&format!(
            "create role {owner} login in role forebay_admin;
             create role {other} login in role forebay_admin;
             create table t (id int4 primary key); alter table t owner to {owner};"
        ))
        .await?;
    let register = "select forebay.add_target('t')";
    let error = database.connect_primary_as(&other).await?.batch_execute(register).await.err();
    assert_eq!(error.as_ref().map(sqlstate), Some("42501"));
    database.connect_primary_as(&owner).await?.batch_execute(register).await?;
    let outsider = database.connect_primary_as(database.writer_role()).await?;
    let error = outsider.batch_execute(register).await.err();
    assert_eq!(error.as_ref().map(sqlstate), Some("42501"));
    Ok(())
}

/// The owner of a table drops it without a word to Forebay, and makes another one of that name.
#[tokio::test]
async fn a_dropped_table_is_no_target_any_more() -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "dropped").await?;
    let owner = format!("{}_owner", database.name());
    let client = database.primary();
    client
        .batch_execute(&format!(
            "create role {owner} login; grant create on schema public to {owner};
             create table t (id int4 primary key); create table kept (id int4 primary key);
             select forebay.add_target('t'), forebay.add_target('kept');
             alter table t owner to {owner};"
        ))
        .await?;
    let as_owner = database.connect_primary_as(&owner).await?;
    as_owner.batch_execute("drop table t; create table t (id int4 primary key)").await?;
    let left = "select string_agg(t.relation::text, ' '),
                    (select count(*) from pg_class where relnamespace = 'forebay_staging'::regnamespace
                     and relname ~ '^t[0-9]+_[0-9]+$')
                from forebay.target t where t.on_conflict <> 'resolve'";
    let row = client.query_one(left, &[]).await?;
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("kept", 1));
    client.batch_execute("select forebay.add_target('t')").await?;
    Ok(())
}

#[tokio::test]
async fn the_extension_drops_with_all_that_it_made_and_comes_back() -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "drop").await?;
    let client = database.primary();
    client
        .batch_execute(
            "create table t (id int4 primary key); select forebay.add_target('t');
             drop extension forebay;",
        )
        .await?;
    let left: i64 = client
        .query_one(
            "select (select count(*) from pg_namespace where nspname = 'forebay_staging')
                 + (select count(*) from pg_class where relnamespace = 'forebay'::regnamespace)
                 + (select count(*) from pg_proc where pronamespace = 'forebay'::regnamespace)
                 + (select count(*) from pg_type where typnamespace = 'forebay'::regnamespace)",
            &[],
        )
        .await?
        .get(0);
    assert_eq!(left, 0);
    client.batch_execute("create extension forebay; select forebay.add_target('t')").await?;
    Ok(())
}
