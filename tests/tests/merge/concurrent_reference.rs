//! Another session changes the parents of a batch, before, while or after the merge checks them: with the
//! set-based check, both sides meet what they meet with PostgreSQL's triggers, and no orphan is left.

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tokio_postgres::Error;

use crate::batch::{Rows, rejections, sqlstate};
use crate::session::{End, Meeting};

/// Parents in one table, in partitions, and referred to by another key than their first.
const SCHEMAS: &[&str] = &[
    "create table parent (id int4 primary key, note text)",
    "create table parent (id int4 primary key, note text) partition by range (id);
     create table low partition of parent for values from (0) to (10);
     create table high partition of parent for values from (10) to (20)",
    "create table parent (id int4 unique, note text, number int4 generated always as identity primary key)",
];

const CHILD: &str =
    "create table child (id int4 primary key, parent int4 references parent (id), v int4);
                     select forebay.add_target('child')";

const RESET: &str = "delete from child; delete from parent;
                     insert into parent values (1, 'one'), (2, 'two'), (3, 'three')";

const CHILDREN: &[Rows] = &[Rows {
    table: "child",
    query: "values (0, 0, 'u'::\"char\", null::int2[], 10, 1, 0), (1, 0, 'u', null, 11, 2, 0),
                   (2, 0, 'u', null, 12, null, 0), (3, 0, 'u', null, 13, 2, 0)",
}];

/// What takes a parent away, if only for a while.
const ACTIONS: &[&str] = &[
    "delete from parent where id = 1",
    "update parent set id = 5 where id = 1",
    // Moved to another partition, where there are some, and swapped over partitions.
    "update parent set id = 15 where id = 1",
    "update parent set id = 15 where id = 1; update parent set id = 1 where id = 3",
    "update parent set id = 15 where id = 1; update parent set id = 1 where id = 15",
    // Deleted and inserted again.
    "delete from parent where id = 1; insert into parent values (1, 'again')",
    // Another one takes its key, there and back, swapped.
    "update parent set id = 9 where id = 1; update parent set id = 1 where id = 3",
    "update parent set id = 9 where id = 1; update parent set id = 1 where id = 9",
    "update parent set id = 9 where id = 1; update parent set id = 1 where id = 2;
     update parent set id = 2 where id = 9",
];

/// What does not.
const HARMLESS: &[&str] = &[
    "update parent set note = 'uno' where id = 1",
    "insert into parent values (4, 'four')",
    "delete from parent where id = 3",
];

/// How the other session begins: with a snapshot for each statement, or one for all of them.
const BEGINNINGS: &[&str] =
    &["begin", "begin isolation level repeatable read; select count(*) from child, parent"];

const ORPHANS: &str = "select from child c left join parent p on p.id = c.parent
                       where c.parent is not null and p.id is null";

/// The same tables twice: a merge checks references as a set in one, and by triggers in the other.
struct Pair([Meeting; 2]);

impl Pair {
    async fn create(schema: &str) -> Result<Self> {
        let mut meetings = Vec::new();
        for setting in ["on", "off"] {
            let meeting = Meeting::create(&format!("{schema}; {CHILD}")).await?;
            meeting.set("forebay.set_based_foreign_keys", setting).await?;
            meetings.push(meeting);
        }
        meetings.try_into().map(Self).ok().context("two meetings")
    }

    /// Plays a scene in both, and compares what was met and what is left.
    async fn compare(
        &self,
        what: &str,
        scene: impl AsyncFn(&Meeting) -> Result<String>,
    ) -> Result<String> {
        let mut seen = Vec::new();
        for meeting in &self.0 {
            meeting.client().batch_execute(RESET).await?;
            let met = scene(meeting).await.with_context(|| what.to_owned())?;
            meeting.ensure_none("orphans", ORPHANS).await.with_context(|| what.to_owned())?;
            let (parents, children) = (
                meeting.rows("(select id, note from parent)").await?,
                meeting.rows("child").await?,
            );
            seen.push(format!("{met}: {parents} {children}"));
        }
        assert_eq!(seen[0], seen[1], "{what}");
        Ok(seen.swap_remove(0))
    }
}

/// What the merge has met.
fn of_merge(answer: Result<Json, Error>) -> Result<String> {
    Ok(match answer {
        Ok(answer) => format!("{:?}", rejections(&answer)?),
        Err(error) => sqlstate(&error).to_owned(),
    })
}

/// What the other session has met, whose transaction ends with it.
async fn of_foreground(meeting: &Meeting, outcome: Result<(), Error>) -> Result<String> {
    let met = outcome.as_ref().err().map_or("done", sqlstate);
    meeting.foreground(if outcome.is_ok() { "commit" } else { "rollback" }).await?;
    Ok(met.to_owned())
}

/// The other session has changed the parents already: the merge waits for its end.
#[tokio::test]
async fn a_merge_waits_for_a_change_that_was_begun() -> Result<()> {
    for schema in SCHEMAS {
        let pair = Pair::create(schema).await?;
        for beginning in BEGINNINGS {
            for action in ACTIONS {
                for end in End::BOTH {
                    pair.compare(&format!("{beginning} {action} {end:?}"), async |meeting| {
                        of_merge(meeting.merge_behind(beginning, action, CHILDREN, end).await?)
                    })
                    .await?;
                }
            }
        }
    }
    Ok(())
}

/// The other session changes them and commits, after the merge has looked for them, and before it checks
/// and writes.
#[tokio::test]
async fn a_merge_meets_a_change_after_its_look() -> Result<()> {
    for schema in SCHEMAS {
        let pair = Pair::create(schema).await?;
        for beginning in BEGINNINGS {
            for action in ACTIONS.iter().chain(HARMLESS) {
                pair.compare(&format!("{beginning} {action}"), async |meeting| {
                    meeting.foreground(beginning).await?;
                    let action = format!("{action}; commit");
                    of_merge(meeting.merge_held_at("merge.before_write", CHILDREN, &action).await?)
                })
                .await?;
            }
        }
    }
    Ok(())
}

/// The merge has written the children: whoever changes their parents waits for its end.
#[tokio::test]
async fn a_change_waits_for_a_merge_that_has_written() -> Result<()> {
    for schema in SCHEMAS {
        let pair = Pair::create(schema).await?;
        for beginning in BEGINNINGS {
            for action in ACTIONS {
                for end in End::BOTH {
                    let what = format!("{beginning} {action} {end:?}");
                    let seen = pair
                        .compare(&what, async |meeting| {
                            meeting.foreground(beginning).await?;
                            let outcome = meeting
                                .merge_ahead("merge.after_write", CHILDREN, end, action)
                                .await?;
                            of_foreground(meeting, outcome).await
                        })
                        .await?;
                    assert_eq!(seen.starts_with("done"), end == End::Rollback, "{what}: {seen}");
                }
            }
        }
    }
    Ok(())
}

/// The merge has checked a set of references, and written none of them yet: so it goes to those who
/// change the parents as when it has written.
#[tokio::test]
async fn a_change_waits_for_a_merge_that_has_checked() -> Result<()> {
    for schema in SCHEMAS {
        let Pair([meeting, _]) = Pair::create(schema).await?;
        for beginning in BEGINNINGS {
            for action in ACTIONS {
                for end in End::BOTH {
                    let what = format!("{beginning} {action} {end:?}");
                    meeting.client().batch_execute(RESET).await?;
                    meeting.foreground(beginning).await?;
                    let outcome =
                        meeting.merge_ahead("merge.after_check", CHILDREN, end, action).await;
                    let met = of_foreground(&meeting, outcome.context(what.clone())?).await?;
                    assert_eq!(met == "done", end == End::Rollback, "{what}: {met}");
                    meeting.ensure_none("orphans", ORPHANS).await?;
                }
            }
        }
    }
    Ok(())
}

/// The merge has committed, and the other session does not see it yet.
#[tokio::test]
async fn a_change_with_an_old_snapshot_leaves_no_orphan() -> Result<()> {
    for schema in SCHEMAS {
        let pair = Pair::create(schema).await?;
        for action in ACTIONS {
            let seen = pair
                .compare(action, async |meeting| {
                    meeting.foreground(BEGINNINGS[1]).await?;
                    meeting.merge(CHILDREN).await?;
                    let outcome = meeting.foreground(action).await;
                    of_foreground(meeting, outcome).await
                })
                .await?;
            assert!(!seen.starts_with("done"), "{action}: {seen}");
        }
    }
    Ok(())
}

/// What leaves the key of a parent alone waits for no merge, and no merge waits for it.
#[tokio::test]
async fn nobody_waits_where_a_parent_stays() -> Result<()> {
    for schema in SCHEMAS {
        let pair = Pair::create(schema).await?;
        for meeting in &pair.0 {
            meeting.set("lock_timeout", "20s").await?; // so that a wait fails, and does not hang
            meeting.foreground("set lock_timeout = '20s'").await?;
        }
        for action in HARMLESS {
            pair.compare(action, async |meeting| {
                meeting.foreground(&format!("begin; {action}")).await?;
                let met = of_merge(Ok(meeting.merge(CHILDREN).await?));
                meeting.foreground("commit").await?;
                met
            })
            .await?;
            pair.compare(action, async |meeting| {
                of_merge(meeting.merge_held_at("merge.after_write", CHILDREN, action).await?)
            })
            .await?;
        }
    }
    Ok(())
}
