//! Foreign keys that are checked once for a set of rows: nothing but the number of look-ups differs
//! from what PostgreSQL's triggers do.

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tokio_postgres::{Error, SimpleQueryMessage};

use crate::batch::{Rows, rejected, rejections, sqlstate};
use crate::session::Meeting;

const SETTING: &str = "forebay.set_based_foreign_keys";

const SCHEMA: &str = "
    create table parent (id int4 primary key, note text);
    create table child (id int4 primary key, parent int4 references parent, v int4);
    insert into parent values (1, 'one'), (2, 'two'), (3, 'three');
    select forebay.add_target('child');";

const ORPHANS: &str = "select from child c left join parent p on p.id = c.parent
                       where c.parent is not null and p.id is null";

/// A meeting with the setting so.
async fn meeting(schema: &str, set_based: bool) -> Result<Meeting> {
    let meeting = Meeting::create(schema).await?;
    meeting.set(SETTING, if set_based { "on" } else { "off" }).await?;
    Ok(meeting)
}

/// What both sides have met, and what is left.
async fn seen(meeting: &Meeting, answer: Result<Json, Error>) -> Result<String> {
    let answer = match answer {
        Ok(answer) => format!("{:?}", rejections(&answer)?),
        Err(error) => sqlstate(&error).to_owned(),
    };
    meeting.ensure_none("orphans", ORPHANS).await?;
    Ok(format!("{answer} {} {}", meeting.rows("parent").await?, meeting.rows("child").await?))
}

#[tokio::test]
async fn parents_are_looked_up_once() -> Result<()> {
    let children: Vec<_> = (0..200)
        .map(|n| format!("({n}, 0, 'u'::\"char\", null::int2[], {n}, {}, 0)", 1 + n % 2))
        .collect();
    let query = format!("values {}", children.join(", "));
    for (set_based, least, most) in [(true, 0, 20), (false, 200, u32::MAX)] {
        let meeting = meeting(SCHEMA, set_based).await?;
        let scans = "select coalesce(seq_scan, 0) + coalesce(idx_scan, 0) from pg_stat_user_tables
                     where relname = 'parent'";
        let scans = async || -> Result<i64> {
            meeting.flush_statistics().await?;
            Ok(meeting.client().query_one(scans, &[]).await?.get(0))
        };
        let before = scans().await?;
        let answer = meeting.merge(&[Rows { table: "child", query: &query }]).await?;
        assert_eq!(rejected(&answer)?, [], "{answer}");
        let looked_up = u32::try_from(scans().await? - before)?;
        assert!((least..=most).contains(&looked_up), "{looked_up} with {set_based}");
        assert_eq!(answer["path"], "set", "{answer}");
    }
    Ok(())
}

/// The batch gives the parents, too, as they are stored: so they are not written, and not locked.
#[tokio::test]
async fn a_parent_that_is_given_and_not_written_may_be_deleted_meanwhile() -> Result<()> {
    let parents = Rows {
        table: "parent",
        query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 'one'), (1, 0, 'u', null, 2, 'two')",
    };
    let children = Rows {
        table: "child",
        query: "values (0, 1, 'u'::\"char\", null::int2[], 10, 1, 0), (1, 1, 'u', null, 11, 2, 0)",
    };
    let batch = [parents, children];
    let schema = format!("{} select forebay.add_target('parent');", SCHEMA);
    let mut outcomes = Vec::new();
    for set_based in [true, false] {
        let meeting = meeting(&schema, set_based).await?;
        let answer = meeting
            .merge_held_at("merge.before_write", &batch, "delete from parent where id = 1")
            .await?;
        outcomes.push(seen(&meeting, answer).await?);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    Ok(())
}

/// Why the foreign key of `child` is checked by triggers, as `forebay.target` says it to a writer.
async fn by_triggers(meeting: &Meeting) -> Result<Option<String>> {
    let sql = "set role forebay_writer;
               select by_triggers ->> 'child_parent_fkey' from forebay.target
               where relation = 'child'::regclass;
               reset role";
    let rows = meeting.client().simple_query(sql).await?;
    let why = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    why.context("child is no target")
}

/// What `forebay.target` says holds after each alteration, too.
#[tokio::test]
async fn the_way_of_a_target_is_told_as_it_is_now() -> Result<()> {
    let meeting = meeting(SCHEMA, true).await?;
    let walked = "rows are applied one by one: it has triggers";
    let steps = [
        ("", None),
        (
            "create trigger t before insert on child for each row
                 execute function suppress_redundant_updates_trigger()",
            Some(walked),
        ),
        ("alter table child disable trigger t", None),
        (
            "alter table child alter constraint child_parent_fkey deferrable",
            Some("it is deferrable"),
        ),
        ("alter table child alter constraint child_parent_fkey not deferrable", None),
        (
            "alter table parent force row level security",
            Some("what it refers to forces row security"),
        ),
        ("alter table parent no force row level security", None),
    ];
    for (alteration, expected) in steps {
        meeting.client().batch_execute(alteration).await?;
        assert_eq!(by_triggers(&meeting).await?.as_deref(), expected, "{alteration}");
    }
    Ok(())
}

/// What keeps a foreign key with its triggers, which reject what they always rejected.
#[tokio::test]
async fn what_does_not_qualify_is_checked_by_triggers() -> Result<()> {
    let cases = [
        ("references parent deferrable initially deferred", "", Some("it is deferrable")),
        (
            "references parent",
            "do $$ declare name name; begin
                for name in select tgname from pg_trigger where tgrelid = 'child'::regclass loop
                    execute format('alter table child enable always trigger %I', name);
                end loop; end $$",
            Some("its triggers are not enabled as usual"),
        ),
        ("references child", "", Some("it refers to the rows' own table")),
        (
            "references parent",
            "create role other; alter table parent owner to other; grant all on parent to public",
            Some("what it refers to has another owner"),
        ),
        (
            "references parent",
            "alter table parent enable row level security; alter table parent force row level security",
            Some("what it refers to forces row security"),
        ),
        ("references parent", "", None),
    ];
    for (number, (references, alteration, expected)) in (0..).zip(cases) {
        let alteration =
            alteration.replace("other", &format!("other_{}_{number}", std::process::id()));
        let meeting = meeting(
            &format!(
                "create table parent (id int4 primary key, note text);
                 create table child (id int4 primary key, parent int4 {references}, v int4);
                 insert into parent values (1, 'one'), (2, 'two');
                 {alteration};
                 select forebay.add_target('child');"
            ),
            true,
        )
        .await?;
        assert_eq!(by_triggers(&meeting).await?.as_deref(), expected);
        let batch = [Rows {
            table: "child",
            query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 7, 0), (1, 0, 'u', null, 2, null, 0)",
        }];
        let answer = meeting.merge(&batch).await?;
        assert_eq!(rejected(&answer)?, [(0, "23503".to_owned())], "{references} {alteration}");
        assert_eq!(meeting.rows("child").await?, "(2,,0)");
    }
    Ok(())
}
