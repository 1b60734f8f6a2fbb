//! What is renamed, or hangs on what the merge makes, while a session merges.

use anyhow::Result;

use crate::batch::{Rows, Source, rejected, sqlstate};
use crate::session::Meeting;

/// A session that has merged into a schema merges into its tables under whatever name, and not into
/// the tables of another schema that has got the name.
#[tokio::test]
async fn a_target_is_followed_when_its_schema_is_renamed() -> Result<()> {
    let meeting = Meeting::create(
        "create schema live; create table live.t (id int4 primary key);
         select forebay.add_target('live.t')",
    )
    .await?;
    let row = "values (0, 0, 'u'::\"char\", null::int2[], 1)";
    meeting.merge(&[Rows { table: "live.t", query: row }]).await?;
    meeting
        .client()
        .batch_execute(
            "begin; alter schema live rename to retired; create schema live;
             create table live.t (id int4 primary key); commit",
        )
        .await?;
    let row = "values (0, 0, 'u'::\"char\", null::int2[], 2)";
    meeting.merge(&[Rows { table: "retired.t", query: row }]).await?;
    assert_eq!(meeting.rows("retired.t").await?, "(1) (2)");
    assert_eq!(meeting.rows("live.t").await?, "");
    Ok(())
}

/// The name of a type is kept, too. A merge that fails for it reads it anew the next time.
#[tokio::test]
async fn a_merge_that_failed_for_an_old_name_succeeds_the_next_time() -> Result<()> {
    let meeting = Meeting::create(
        "create type mood as enum ('sad', 'happy');
         create table t (id int4 primary key, mood mood);
         select forebay.add_target('t')",
    )
    .await?;
    let row = |id| format!("values (0, 0, 'u'::\"char\", null::int2[], {id}, 'sad')");
    meeting.merge(&[Rows { table: "t", query: &row(1) }]).await?;
    meeting.client().batch_execute("alter type mood rename to temper").await?;
    // It succeeds at once if the session has been told to forget everything.
    if let Err(error) = meeting.merge(&[Rows { table: "t", query: &row(2) }]).await {
        assert_eq!(error.downcast_ref().map(sqlstate), Some("42704"), "{error}");
    }
    meeting.merge(&[Rows { table: "t", query: &row(2) }]).await?;
    assert_eq!(meeting.rows("t").await?, "(1,sad) (2,sad)");
    Ok(())
}

/// Anybody can make a column of a staging table's row type. That keeps neither the target from being
/// altered nor anybody from dropping it.
#[tokio::test]
async fn what_hangs_on_a_staging_table_is_in_nobodys_way() -> Result<()> {
    let meeting = Meeting::create(
        "create table t (id int4 primary key); create table other (id int4 primary key);
         select forebay.add_target('t'), forebay.add_target('other')",
    )
    .await?;
    let hanger = |table: &str| {
        format!(
            "do $$ declare row_type regtype; begin
                select c.reltype into row_type from pg_class c join forebay.target t
                    on c.relname = format('t%s_0', t.id) where t.relation = '{table}'::regclass;
                execute format('create table on_{table} (stranger %s)', row_type);
             end $$"
        )
    };
    let client = meeting.client();
    client.batch_execute(&hanger("t")).await?;
    client.batch_execute("alter table t add v int4").await?;
    let row = "values (0, 0, 'u'::\"char\", null::int2[], 1, 2)";
    let mut source = Source::claim(client).await?;
    let answer = source.merge(&[Rows { table: "t", query: row }]).await?;
    assert_eq!(rejected(&answer)?, [], "{answer}");
    assert_eq!(meeting.rows("t").await?, "(1,2)");
    client.batch_execute(&hanger("other")).await?;
    client.batch_execute("drop table other").await?;
    Ok(())
}
