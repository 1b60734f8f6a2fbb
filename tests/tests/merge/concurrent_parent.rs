//! Another session inserts, deletes or moves the parents of a batch.

use anyhow::{Context, Result};

use crate::batch::{Rows, rejected, rejections, sqlstate};
use crate::session::{End, Meeting};

const SCHEMA: &str = "
    create table parent (id int4 primary key, code int4 unique);
    create table child (id int4 primary key, parent int4 references parent on delete no action);
    select forebay.add_target('parent'), forebay.add_target('child');
    insert into parent values (1, 1), (2, 2);";

const CHILDREN: &[Rows] = &[Rows {
    table: "child",
    query: "values (0, 0, 'u'::\"char\", null::int2[], 10, 1), (1, 0, 'u', null, 11, 2),
                   (2, 0, 'u', null, 12, null)",
}];

const ORPHANS: &str = "select from child c left join parent p on p.id = c.parent where c.parent is not null and p.id is null";

/// A child of a parent that nobody knows yet, among others.
const EARLY: &[Rows] = &[Rows {
    table: "child",
    query: "values (0, 0, 'u'::\"char\", null::int2[], 10, 3), (1, 0, 'u', null, 11, 2)",
}];

#[tokio::test]
async fn a_parent_that_comes_after_the_look_is_found() -> Result<()> {
    let meeting = Meeting::create(SCHEMA).await?;
    let late = "insert into parent values (3, 3)";
    let answer = meeting.merge_held_at("merge.after_look", EARLY, late).await??;
    assert_eq!(rejected(&answer)?, [], "{answer}");
    assert_eq!(meeting.rows("child").await?, "(10,3) (11,2)");
    meeting.ensure_none("orphans", ORPHANS).await
}

#[tokio::test]
async fn a_parent_that_goes_after_the_look_rejects_its_children_alone() -> Result<()> {
    for point in ["merge.after_look", "merge.before_write"] {
        let meeting = Meeting::create(SCHEMA).await?;
        let answer =
            meeting.merge_held_at(point, CHILDREN, "delete from parent where id = 1").await??;
        let rejections = rejections(&answer)?;
        assert_eq!(rejections.len(), 1, "{answer}");
        assert_eq!((rejections[0].event, &*rejections[0].sqlstate), (0, "23503"));
        assert_eq!(rejections[0].constraint.as_deref(), Some("child_parent_fkey"));
        assert_eq!(meeting.rows("child").await?, "(11,2) (12,)");
        meeting.ensure_none("orphans", ORPHANS).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_merge_waits_for_the_deletion_of_a_parent() -> Result<()> {
    for end in End::BOTH {
        let meeting = Meeting::create(SCHEMA).await?;
        let deletion = "delete from parent where id = 1";
        let answer = meeting.merge_behind("begin", deletion, CHILDREN, end).await??;
        let expected: &[(i64, String)] = match end {
            End::Commit => &[(0, "23503".to_owned())],
            End::Rollback => &[],
        };
        assert_eq!(rejected(&answer)?, expected, "{end:?}: {answer}");
        meeting.ensure_none("orphans", ORPHANS).await?;
    }
    Ok(())
}

/// A foreign key to a unique value that the foreground moves away.
#[tokio::test]
async fn a_merge_waits_for_a_parents_new_value() -> Result<()> {
    for end in End::BOTH {
        let meeting = Meeting::create(
            "create table parent (id int4 primary key, code int4 unique);
             create table child (id int4 primary key, code int4 references parent (code));
             select forebay.add_target('child');
             insert into parent values (1, 1), (2, 2);",
        )
        .await?;
        let answer = meeting
            .merge_behind("begin", "update parent set code = 9 where id = 1", CHILDREN, end)
            .await??;
        let expected: &[(i64, String)] = match end {
            End::Commit => &[(0, "23503".to_owned())],
            End::Rollback => &[],
        };
        assert_eq!(rejected(&answer)?, expected, "{end:?}: {answer}");
        let orphans = "select from child c left join parent p using (code)
                       where c.code is not null and p.id is null";
        meeting.ensure_none("orphans", orphans).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_deletion_of_a_parent_waits_for_the_merge_of_its_children() -> Result<()> {
    let meeting = Meeting::create(SCHEMA).await?;
    let outcome = meeting
        .merge_ahead("merge.after_write", CHILDREN, End::Commit, "delete from parent where id = 1")
        .await?;
    let error = outcome.err().context("the parent is gone")?;
    assert_eq!(sqlstate(&error), "23503", "{error}");
    assert_eq!(meeting.rows("child").await?, "(10,1) (11,2) (12,)");
    meeting.ensure_none("orphans", ORPHANS).await
}

/// The batch deletes a parent; the foreground gives it a child.
#[tokio::test]
async fn a_merge_waits_for_a_child_of_the_parent_that_it_deletes() -> Result<()> {
    let deletion = &[Rows {
        table: "parent",
        query: "values (0, 0, 'd'::\"char\", null::int2[], 1, null::int4), (1, 0, 'u', null, 3, 3)",
    }];
    for end in End::BOTH {
        let meeting = Meeting::create(SCHEMA).await?;
        let child = "insert into child values (20, 1)";
        let answer = meeting.merge_behind("begin", child, deletion, end).await??;
        let expected: &[(i64, String)] = match end {
            End::Commit => &[(0, "23503".to_owned())],
            End::Rollback => &[],
        };
        assert_eq!(rejected(&answer)?, expected, "{end:?}: {answer}");
        meeting.ensure_none("orphans", ORPHANS).await?;
    }
    Ok(())
}
