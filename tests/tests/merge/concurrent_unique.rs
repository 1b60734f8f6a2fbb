//! Another session takes or frees the unique values of a batch.

use anyhow::{Context, Result};

use crate::batch::{Rejection, Rows, rejected, rejections, sqlstate};
use crate::session::{End, Meeting};

const SCHEMA: &str = "
    create table t (id int4 primary key, u int4 unique);
    select forebay.add_target('t');
    insert into t values (4, 40);";

const BATCH: &[Rows] = &[Rows {
    table: "t",
    query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 10), (1, 0, 'u', null, 2, 20)",
}];

/// Wants what 4 has.
const COVETOUS: &[Rows] = &[Rows {
    table: "t",
    query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 40), (1, 0, 'u', null, 2, 20)",
}];

const DUPLICATES: &str = "select u from t group by u having count(*) > 1";

#[tokio::test]
async fn a_value_that_is_taken_after_the_look_rejects_its_event_alone() -> Result<()> {
    for point in ["merge.after_look", "merge.before_write"] {
        let meeting = Meeting::create(SCHEMA).await?;
        let answer = meeting.merge_held_at(point, BATCH, "insert into t values (9, 10)").await??;
        let expected = Rejection::new(0, "23505", "public.t", Some("t_u_key"));
        assert_eq!(rejections(&answer)?, [expected], "{point}: {answer}");
        assert_eq!(meeting.rows("t").await?, "(2,20) (4,40) (9,10)", "{point}");
    }
    Ok(())
}

#[tokio::test]
async fn a_value_that_is_freed_after_the_look_is_taken() -> Result<()> {
    for foreground in ["delete from t where id = 4", "update t set u = 41 where id = 4"] {
        let meeting = Meeting::create(SCHEMA).await?;
        let answer = meeting.merge_held_at("merge.after_look", COVETOUS, foreground).await??;
        assert_eq!(rejected(&answer)?, [], "{foreground}: {answer}");
        meeting.ensure_none("duplicates", DUPLICATES).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_merge_waits_for_a_value_to_be_taken() -> Result<()> {
    for end in End::BOTH {
        let meeting = Meeting::create(SCHEMA).await?;
        let answer =
            meeting.merge_behind("begin", "insert into t values (9, 10)", BATCH, end).await??;
        let expected: &[(i64, String)] = match end {
            End::Commit => &[(0, "23505".to_owned())],
            End::Rollback => &[],
        };
        assert_eq!(rejected(&answer)?, expected, "{end:?}: {answer}");
        meeting.ensure_none("duplicates", DUPLICATES).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_merge_waits_for_a_value_to_be_freed() -> Result<()> {
    for end in End::BOTH {
        let meeting = Meeting::create(SCHEMA).await?;
        let freed = "delete from t where id = 4";
        let answer = meeting.merge_behind("begin", freed, COVETOUS, end).await??;
        let expected: &[(i64, String)] = match end {
            End::Commit => &[],
            End::Rollback => &[(0, "23505".to_owned())],
        };
        assert_eq!(rejected(&answer)?, expected, "{end:?}: {answer}");
        meeting.ensure_none("duplicates", DUPLICATES).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_foreground_waits_for_the_values_of_a_merge() -> Result<()> {
    let meeting = Meeting::create(SCHEMA).await?;
    let outcome = meeting
        .merge_ahead("merge.after_write", BATCH, End::Commit, "insert into t values (9, 10)")
        .await?;
    let error = outcome.err().context("the value is there twice")?;
    assert_eq!(sqlstate(&error), "23505", "{error}");
    meeting.ensure_none("duplicates", DUPLICATES).await?;
    assert_eq!(meeting.rows("t").await?, "(1,10) (2,20) (4,40)");
    Ok(())
}
