//! What a target's owner may not do is the world's fault: nothing is merged, no event is rejected.

use anyhow::{Context, Result};
use forebay_tests::{Database, Stack};

use crate::batch::{Rows, Source, rejected, sqlstate};

const ROWS: &[Rows] = &[
    Rows { table: "a", query: "values (0, 0, 'u'::\"char\", null::int2[], 1)" },
    Rows { table: "b", query: "values (0, 1, 'u'::\"char\", null::int2[], 1)" },
];

async fn database(prefix: &str) -> Result<(Database, String)> {
    let database = Database::create(&Stack::from_env()?, prefix).await?;
    let owner = format!("{}_owner", database.name());
    database
        .primary()
        .batch_execute(&format!(
            "create role {owner} login in role forebay_admin;
             create table a (id int4 primary key); create table b (id int4 primary key);
             alter table b owner to {owner};
             select forebay.add_target('a'), forebay.add_target('b');"
        ))
        .await?;
    Ok((database, owner))
}

async fn ensure_nothing_merged(database: &Database) -> Result<()> {
    let sql = "select (select count(*) from a) + (select count(*) from b),
                      (select count(*) from forebay.dead_letter), max(next_offset) from forebay.progress";
    let row = database.primary().query_one(sql, &[]).await?;
    let counts: (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(counts, (0, 0, 0), "(merged, dead letters, next offset)");
    Ok(())
}

#[tokio::test]
async fn any_missing_right_of_an_owner_aborts_the_batch() -> Result<()> {
    let (database, owner) = database("grants").await?;
    let client = database.primary();
    for right in ["select", "insert", "update", "delete"] {
        client.batch_execute(&format!("revoke {right} on b from {owner}")).await?;
        let mut source = Source::claim(client).await?;
        let error = source.merge(ROWS).await.err().with_context(|| format!("without {right}"))?;
        assert_eq!(sqlstate(&error), "42501", "without {right}: {error}");
        ensure_nothing_merged(&database).await?;
        client.batch_execute(&format!("grant {right} on b to {owner}")).await?;
    }
    let answer = Source::claim(client).await?.merge(ROWS).await?;
    assert_eq!(rejected(&answer)?, [], "{answer}");
    Ok(())
}

#[tokio::test]
async fn row_security_that_is_forced_later_aborts_the_batch() -> Result<()> {
    let (database, _) = database("forced").await?;
    let client = database.primary();
    client
        .batch_execute(
            "alter table b enable row level security; alter table b force row level security",
        )
        .await?;
    let mut source = Source::claim(client).await?;
    let error = source.merge(ROWS).await.err().context("forced row security")?;
    assert_eq!(sqlstate(&error), "FB004", "{error}");
    ensure_nothing_merged(&database).await?;
    // Its owner bypasses what is not forced.
    client.batch_execute("alter table b no force row level security").await?;
    let answer = Source::claim(client).await?.merge(ROWS).await?;
    assert_eq!(rejected(&answer)?, [], "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_former_owner_reads_no_staged_rows() -> Result<()> {
    let (database, owner) = database("former").await?;
    let client = database.primary();
    Source::claim(client).await?.merge(ROWS).await?;
    let heir = format!("{}_heir", database.name());
    client
        .batch_execute(&format!("create role {heir} login; alter table b owner to {heir}"))
        .await?;
    let answer = Source::claim(client).await?.merge(ROWS).await?;
    assert_eq!(rejected(&answer)?, [], "{answer}");
    let sql = "select 'forebay_staging.t' || id || '_0' from forebay.target where relation = 'b'::regclass";
    let staging: String = client.query_one(sql, &[]).await?.get(0);
    let read = format!("select * from {staging}");
    let former = database.connect_primary_as(&owner).await?;
    let error = former.batch_execute(&read).await.err().context("the former owner reads")?;
    assert_eq!(sqlstate(&error), "42501", "{error}");
    database.connect_primary_as(&heir).await?.batch_execute(&read).await?;
    Ok(())
}

/// Rights that a row needs beside those on its table: what their lack raises is no event's fault.
#[tokio::test]
async fn a_grant_that_is_missing_elsewhere_aborts_the_batch() -> Result<()> {
    let grants = [
        "usage on schema app",
        "usage on sequence numbers",
        "execute on function one()",
        "usage on schema types",
    ];
    for grant in grants {
        let database = Database::create(&Stack::from_env()?, "elsewhere").await?;
        let owner = format!("{}_owner", database.name());
        let client = database.primary();
        client
            .batch_execute(&format!(
                "create role {owner};
                 create schema app; create schema types;
                 create type types.mood as enum ('sad', 'happy');
                 create sequence numbers;
                 create function one() returns int4 language sql immutable as 'select 1';
                 revoke all on function one() from public;
                 create table app.t (id int4 primary key, mood types.mood,
                    n int4 default nextval('numbers'), one int4 default one());
                 alter table app.t owner to {owner};
                 grant usage on schema app, types to {owner}; grant usage on sequence numbers to {owner};
                 grant execute on function one() to {owner};
                 select forebay.add_target('app.t');
                 revoke {grant} from {owner}"
            ))
            .await?;
        let row = "values (0, 0, 'u'::\"char\", '{1,2}'::int2[], 1, 'sad', null::int4, null::int4)";
        let batch = &[Rows { table: "app.t", query: row }];
        let mut source = Source::claim(client).await?;
        let error = source.merge(batch).await.err().with_context(|| format!("without {grant}"))?;
        assert_eq!(sqlstate(&error), "42501", "without {grant}: {error}");
        let hint = error.as_db_error().and_then(|error| error.hint()).unwrap_or_default();
        assert!(hint.starts_with("grant "), "without {grant}: {hint:?}");
        client.batch_execute(hint).await.context(hint.to_owned())?;
        let answer = Source::claim(client).await?.merge(batch).await?;
        assert_eq!(rejected(&answer)?, [], "{answer}");
    }
    Ok(())
}
