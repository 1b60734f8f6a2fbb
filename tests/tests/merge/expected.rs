//! Sets of new keys alone, of changed rows alone, and of rows that are stored just so: the next set is
//! taken for one like it, and merged with fewer looks.

use anyhow::Result;
use serde_json::Value as Json;

use crate::batch::{Rows, rejected};
use crate::session::Meeting;

/// Every row names all columns: key, value, version.
async fn merge(meeting: &Meeting, rows: &str) -> Result<Json> {
    let query = format!(
        "select event, 0, 'u'::\"char\", null::int2[], id, v, version
         from (values {rows}) r(event, id, v, version)"
    );
    meeting.merge(&[Rows { table: "t", query: &query }]).await
}

/// A target that has had two sets of new keys.
async fn meeting(policy: &str) -> Result<Meeting> {
    let meeting = Meeting::create(&format!(
        "create table t (id int4 primary key, v int4 check (v < 100), version int4);
         select forebay.add_target('t', on_conflict => '{policy}',
             version => case '{policy}' when 'newest' then 'version' end);"
    ))
    .await?;
    for rows in ["(0, 1, 1, 5), (1, 2, 2, 5)", "(0, 3, 3, 5), (1, 4, 4, 5)"] {
        let answer = merge(&meeting, rows).await?;
        assert_eq!(answer["unforeseen"], 0, "{answer}");
    }
    Ok(meeting)
}

/// What a stored key does, and that the next one is asked for again.
#[tokio::test]
async fn a_stored_key_is_met_as_the_policy_says() -> Result<()> {
    let cases = [
        ("update", "(1,10,6) (2,20,4) (3,3,5) (4,4,5) (5,50,1)", vec![]),
        ("newest", "(1,10,6) (2,2,5) (3,3,5) (4,4,5) (5,50,1)", vec![]),
        ("identical", "(1,1,5) (2,2,5) (3,3,5) (4,4,5) (5,50,1)", vec![0, 1]),
        ("insert", "(1,1,5) (2,2,5) (3,3,5) (4,4,5) (5,50,1)", vec![0, 1, 2]),
    ];
    for (policy, rows, expected) in cases {
        let meeting = meeting(policy).await?;
        let batch = "(0, 1, 10, 6), (1, 2, 20, 4), (2, 3, 3, 5), (3, 5, 50, 1)";
        let answer = merge(&meeting, batch).await?;
        let expected: Vec<_> = expected.iter().map(|event| (*event, "23505".to_owned())).collect();
        assert_eq!(rejected(&answer)?, expected, "{policy}: {answer}");
        assert_eq!(meeting.rows("t").await?, rows, "{policy}");
        assert_eq!(answer["unforeseen"], 1, "it was not asked: {answer}");

        let answer = merge(&meeting, "(0, 3, 3, 5), (1, 6, 6, 6)").await?;
        assert_eq!(answer["unforeseen"], 0, "it was asked: {answer}");
    }
    Ok(())
}

/// The second row of a key that is new.
#[tokio::test]
async fn a_repeated_key_is_met_as_the_policy_says() -> Result<()> {
    let cases = [
        ("update", "(5,51,1)", vec![]),
        ("newest", "(5,50,2)", vec![]),
        ("identical", "(5,50,2)", vec![(1, "23505")]),
        ("insert", "(5,50,2)", vec![(1, "23505")]),
    ];
    for (policy, row, expected) in cases {
        let meeting = meeting(policy).await?;
        let answer = merge(&meeting, "(0, 5, 50, 2), (1, 5, 51, 1)").await?;
        let expected: Vec<_> = expected.iter().map(|(n, state)| (*n, (*state).into())).collect();
        assert_eq!(rejected(&answer)?, expected, "{policy}: {answer}");
        let rows = meeting.rows("t").await?;
        assert!(rows.ends_with(row), "{policy}: {rows}");
        assert_eq!(answer["unforeseen"], 1, "it was not asked: {answer}");
    }
    Ok(())
}

/// The set still is one, and the others are written without asking.
#[tokio::test]
async fn a_bad_row_among_new_keys_is_rejected() -> Result<()> {
    for policy in ["update", "newest", "identical", "insert"] {
        let meeting = meeting(policy).await?;
        let answer = merge(&meeting, "(0, 5, 50, 1), (1, 6, 100, 1), (2, 7, 70, 1)").await?;
        assert_eq!(rejected(&answer)?, [(1, "23514".to_owned())], "{policy}: {answer}");
        let rows = meeting.rows("t").await?;
        assert!(rows.ends_with("(4,4,5) (5,50,1) (7,70,1)"), "{policy}: {rows}");
        assert_eq!(answer["path"], "set", "{policy}: {answer}");
        assert_eq!(answer["unforeseen"], 0, "{policy}: {answer}");
    }
    Ok(())
}

/// What an event's row refers to counts only if no later row of that event replaces it.
#[tokio::test]
async fn a_reference_that_is_replaced_in_its_event_is_not_missed() -> Result<()> {
    let meeting = Meeting::create(
        "create table parent (id int4 primary key);
         create table t (id int4 primary key, parent int4 references parent);
         insert into parent values (1);
         select forebay.add_target('parent'), forebay.add_target('t')",
    )
    .await?;
    let merge = async |rows: &str| -> Result<Json> {
        let query = format!(
            "select event, row, 'u'::\"char\", null::int2[], id, parent
             from (values {rows}) r(event, row, id, parent)"
        );
        let parent = "values (9, 0, 'u'::\"char\", null::int2[], 2)";
        let batch = [Rows { table: "parent", query: parent }, Rows { table: "t", query: &query }];
        meeting.merge(&batch).await
    };
    merge("(0, 0, 1, 1)").await?;
    merge("(0, 0, 2, 1)").await?;
    let answer = merge("(0, 0, 3, 7), (0, 1, 3, 1), (1, 0, 4, 7)").await?;
    assert_eq!(rejected(&answer)?, [(1, "23503".to_owned())], "{answer}");
    assert_eq!(meeting.rows("t").await?, "(1,1) (2,1) (3,1)");
    Ok(())
}

/// A target of a hundred rows, which has had two sets that changed them all, or that changed nothing.
async fn habitual(policy: &str, change: i32) -> Result<Meeting> {
    let meeting = Meeting::create(&format!(
        "create table t (id int4 primary key, v int4 check (v < 100), version int4);
         insert into t select n, 0, 0 from generate_series(1, 100) n;
         select forebay.add_target('t', on_conflict => '{policy}')",
    ))
    .await?;
    for set in 1..=2 {
        let answer = merge(&meeting, &hundred(set * change)).await?;
        assert_eq!(answer["unforeseen"], 0, "{answer}");
    }
    Ok(meeting)
}

/// The rows 1 to 100, each an event, all with this value.
fn hundred(value: i32) -> String {
    let rows: Vec<_> = (1..=100).map(|id| format!("({id}, {id}, {value}, 0)")).collect();
    rows.join(", ")
}

/// How often a row was looked up by its key.
async fn lookups(meeting: &Meeting) -> Result<i64> {
    meeting.flush_statistics().await?;
    let sql = "select idx_scan from pg_stat_user_tables where relname = 't'";
    Ok(meeting.client().query_one(sql, &[]).await?.get(0))
}

#[tokio::test]
async fn rows_that_all_change_or_none_are_looked_up_once() -> Result<()> {
    for change in [1, 0] {
        let meeting = habitual("update", change).await?;
        let before = lookups(&meeting).await?;
        let answer = merge(&meeting, &hundred(3 * change)).await?;
        let looked_up = lookups(&meeting).await? - before;
        assert_eq!(looked_up, 100, "{answer}");
        let what = if change == 1 { "updated" } else { "unchanged" };
        assert_eq!(answer["targets"][0][what], 100, "{answer}");
    }
    Ok(())
}

/// Rows of each kind come where only changes were expected, or none.
#[tokio::test]
async fn what_was_not_expected_is_met_as_ever() -> Result<()> {
    let batch = "(0, 1, 0, 0), (1, 2, 50, 0), (2, 3, 60, 0), (3, 3, 61, 0), (4, 4, 100, 0), \
                 (5, 101, 7, 0), (6, 102, null, 0)";
    for change in [1, 0] {
        let meeting = habitual("update", change).await?;
        merge(&meeting, &hundred(3 * change)).await?;
        let answer = merge(&meeting, batch).await?;
        assert_eq!(rejected(&answer)?, [(4, "23514".to_owned())], "{change}: {answer}");
        let left = "select string_agg(t::text, ' ' order by id) from t where id < 5 or id > 100";
        let left: String = meeting.client().query_one(left, &[]).await?.get(0);
        let fourth = 3 * change;
        let expected = format!("(1,0,0) (2,50,0) (3,61,0) (4,{fourth},0) (101,7,0) (102,,0)");
        assert_eq!(left, expected, "{change}: {answer}");
        assert_eq!(answer["path"], "set", "{change}: {answer}");
        let before = lookups(&meeting).await?;
        merge(&meeting, &hundred(9)).await?;
        assert!(lookups(&meeting).await? - before > 100, "it was not asked: {change}");
    }
    Ok(())
}

/// Another session deletes a row, or changes it just so, after the look and before the write.
#[tokio::test]
async fn what_changes_meanwhile_is_noticed() -> Result<()> {
    for action in ["delete from t where id = 7", "update t set v = 3 where id = 7"] {
        let meeting = habitual("update", 1).await?;
        let query = "select n - 1, 0, 'u'::\"char\", null::int2[], n, 3, 0 \
                     from generate_series(1, 100) n";
        let rows = [Rows { table: "t", query }];
        let answer = meeting.merge_held_at("merge.before_write", &rows, action).await??;
        assert_eq!(rejected(&answer)?, [], "{action}: {answer}");
        let sql = "select count(*) from t where v = 3";
        let changed: i64 = meeting.client().query_one(sql, &[]).await?.get(0);
        assert_eq!(changed, 100, "{action}: {answer}");
        assert_eq!(answer["unforeseen"], 1, "{action}: {answer}");
    }
    Ok(())
}
