//! Another session writes rows with the keys of a batch.

use anyhow::{Context, Result};

use crate::batch::{Rows, rejected, sqlstate};
use crate::session::{End, Meeting};

const BATCH: &[Rows] = &[Rows {
    table: "t",
    query:
        "values (0, 0, 'u'::\"char\", '{1,2}'::int2[], 1, 10, 0), (1, 0, 'u', '{1,2}', 2, 20, 0),
                   (2, 0, 'u', '{1,2}', 3, 30, 0)",
}];

/// `v` is what events write, and `n` what the foreground counts.
fn schema(policy: &str) -> String {
    format!(
        "create table t (id int4 primary key, v int4, n int4 not null default 0);
         select forebay.add_target('t', on_conflict => '{policy}');
         insert into t values (1, 1), (4, 4);"
    )
}

#[tokio::test]
async fn a_row_that_comes_after_the_look_is_met_as_the_policy_says() -> Result<()> {
    let cases = [
        ("update", "(1,10,0) (2,20,7) (3,30,0) (4,4,0)", vec![]),
        ("ignore", "(1,1,0) (2,2,7) (3,30,0) (4,4,0)", vec![]),
        ("insert", "(1,1,0) (2,2,7) (3,30,0) (4,4,0)", vec![0, 1]),
        ("identical", "(1,1,0) (2,2,7) (3,30,0) (4,4,0)", vec![0, 1]),
    ];
    for (policy, rows, expected) in cases {
        for point in ["merge.after_look", "merge.before_write"] {
            let meeting = Meeting::create(&schema(policy)).await?;
            let foreground = "insert into t values (2, 2, 7)";
            let answer = meeting.merge_held_at(point, BATCH, foreground).await??;
            let expected: Vec<_> =
                expected.iter().map(|event| (*event, "23505".to_owned())).collect();
            assert_eq!(rejected(&answer)?, expected, "{policy} at {point}: {answer}");
            assert_eq!(meeting.rows("t").await?, rows, "{policy} at {point}");
        }
    }
    Ok(())
}

/// A row that is in the way at the first look, and gone before its event is rejected. The mutant that
/// does not look again is seen.
#[tokio::test]
async fn a_row_that_goes_after_the_look_is_in_nobodys_way() -> Result<()> {
    for policy in ["insert", "identical"] {
        let foreground = "delete from t where id = 1";
        let meeting = Meeting::create(&schema(policy)).await?;
        let answer = meeting.merge_held_at("merge.after_look", BATCH, foreground).await??;
        assert_eq!(rejected(&answer)?, [], "{policy}: {answer}");
        assert_eq!(meeting.rows("t").await?, "(1,10,0) (2,20,0) (3,30,0) (4,4,0)", "{policy}");

        let meeting = Meeting::create(&schema(policy)).await?;
        meeting.set("forebay.mutant", "stale_look").await?;
        let answer = meeting.merge_held_at("merge.after_look", BATCH, foreground).await??;
        assert_eq!(rejected(&answer)?, [(0, "23505".to_owned())], "{policy}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_merge_waits_for_an_insert_of_its_key() -> Result<()> {
    for (end, rows) in [
        (End::Commit, "(1,10,0) (2,20,7) (3,30,0) (4,4,0)"),
        (End::Rollback, "(1,10,0) (2,20,0) (3,30,0) (4,4,0)"),
    ] {
        let meeting = Meeting::create(&schema("update")).await?;
        let answer =
            meeting.merge_behind("begin", "insert into t values (2, 2, 7)", BATCH, end).await??;
        assert_eq!(rejected(&answer)?, [], "{end:?}: {answer}");
        assert_eq!(meeting.rows("t").await?, rows, "{end:?}");
    }
    Ok(())
}

/// Columns that the event does not name keep what the foreground has just written.
#[tokio::test]
async fn no_update_is_lost() -> Result<()> {
    let count = "update t set n = n + 1 where id = 1";
    for point in ["merge.after_look", "merge.before_write"] {
        let meeting = Meeting::create(&schema("update")).await?;
        meeting.merge_held_at(point, BATCH, count).await??;
        assert_eq!(meeting.rows("t").await?, "(1,10,1) (2,20,0) (3,30,0) (4,4,0)", "{point}");
    }
    for (end, counted) in [(End::Commit, 1), (End::Rollback, 0)] {
        let meeting = Meeting::create(&schema("update")).await?;
        meeting.merge_behind("begin", count, BATCH, end).await??;
        let rows = format!("(1,10,{counted}) (2,20,0) (3,30,0) (4,4,0)");
        assert_eq!(meeting.rows("t").await?, rows, "{end:?}");
    }
    let meeting = Meeting::create(&schema("update")).await?;
    meeting.merge_ahead("merge.after_write", BATCH, End::Commit, count).await??;
    assert_eq!(meeting.rows("t").await?, "(1,10,1) (2,20,0) (3,30,0) (4,4,0)");
    Ok(())
}

/// The newest stays, also when it comes between look and write.
#[tokio::test]
async fn an_older_row_does_not_replace_one_that_was_just_written() -> Result<()> {
    let schema = "create table t (id int4 primary key, v int4, n int4 not null default 0);
                  select forebay.add_target('t', on_conflict => 'newest', version => 'v');
                  insert into t values (1, 1);";
    let newer = "update t set v = 15, n = 1 where id = 1";
    for point in ["merge.after_look", "merge.before_write"] {
        let meeting = Meeting::create(schema).await?;
        let answer = meeting.merge_held_at(point, BATCH, newer).await??;
        assert_eq!(rejected(&answer)?, []);
        assert_eq!(meeting.rows("t").await?, "(1,15,1) (2,20,0) (3,30,0)", "{point}");
    }
    for (end, kept) in [(End::Commit, "(1,15,1)"), (End::Rollback, "(1,10,0)")] {
        let meeting = Meeting::create(schema).await?;
        meeting.merge_behind("begin", newer, BATCH, end).await??;
        assert_eq!(meeting.rows("t").await?, format!("{kept} (2,20,0) (3,30,0)"), "{end:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_row_that_goes_after_the_look_is_written_anew() -> Result<()> {
    let deletion = "delete from t where id = 1";
    for point in ["merge.after_look", "merge.before_write"] {
        let meeting = Meeting::create(&schema("update")).await?;
        let answer = meeting.merge_held_at(point, BATCH, deletion).await??;
        assert_eq!(rejected(&answer)?, [], "{point}: {answer}");
        assert_eq!(meeting.rows("t").await?, "(1,10,0) (2,20,0) (3,30,0) (4,4,0)", "{point}");
    }
    for end in End::BOTH {
        let meeting = Meeting::create(&schema("update")).await?;
        let answer = meeting.merge_behind("begin", deletion, BATCH, end).await??;
        assert_eq!(rejected(&answer)?, [], "{end:?}: {answer}");
        assert_eq!(meeting.rows("t").await?, "(1,10,0) (2,20,0) (3,30,0) (4,4,0)", "{end:?}");
    }
    Ok(())
}

/// A deadlock is nobody's fault: the batch is aborted, no event is rejected, and it merges when it
/// is repeated.
#[tokio::test]
async fn a_deadlock_aborts_the_batch() -> Result<()> {
    let meeting = Meeting::create(&schema("update")).await?;
    // In order of the key: the merge holds 1 when it waits for 4.
    let batch = &[Rows {
        table: "t",
        query: "values (0, 0, 'u'::\"char\", '{1,2}'::int2[], 4, 40, 0), (1, 0, 'u', '{1,2}', 1, 10, 0)",
    }];
    let count = |id: i32| format!("update t set n = 1 where id = {id}");
    let outcome = meeting.deadlock(&count(4), batch, &count(1)).await?;
    let error = outcome.err().context("the merge is not the victim")?;
    assert_eq!(sqlstate(&error), "40P01", "{error}");
    assert_eq!(meeting.rows("t").await?, "(1,1,1) (4,4,1)");
    let answer = meeting.merge(batch).await?;
    assert_eq!(rejected(&answer)?, []);
    assert_eq!(meeting.rows("t").await?, "(1,10,1) (4,40,1)");
    Ok(())
}
