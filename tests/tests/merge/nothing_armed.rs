//! However a merge ends, nothing of its leave stays: the session's next statements fire all triggers, those
//! of the very same text, too.

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tokio_postgres::Error;

use crate::batch::{Rows, sqlstate};
use crate::session::Meeting;

/// `act` runs while the merge's own insert is planned, as a default, or executed, as a check. The lock is
/// that of the tests' gate.
fn schema(place: &str) -> String {
    format!(
        r#"create table parent (id int4 primary key, note text);
           insert into parent values (1, 'one'), (2, 'two');
           create table mode (name text); create table captured (sql text);
           create function act() returns int4 language plpgsql as $$
           declare
               context text;
               statement text;
           begin
               get diagnostics context = pg_context;
               statement := substring(context from 'SQL statement "(insert into public\.child [^\n]*)"');
               if statement is not null then
                   case (select name from public.mode)
                       when 'capture' then insert into public.captured values (statement);
                       when 'wait' then perform pg_advisory_xact_lock_shared(x'6f726562'::int8);
                       when 'raise' then raise 'no space' using errcode = '53100';
                       else null;
                   end case;
               end if;
               return 1;
           end $$;
           create function meanwhile(n int4) returns int4 immutable language plpgsql as
               $$ begin return (select public.act()); end $$;
           create table child (id int4 primary key, parent int4 references parent, v int4 {place});
           select forebay.add_target('child')"#
    )
}

const CHILDREN: &[Rows] = &[Rows {
    table: "child",
    query: "values (0, 0, 'u'::\"char\", '{1,2}'::int2[], 10, 1), (1, 0, 'u', '{1,2}', 11, 2)",
}];

const CANCEL: &str = "select pg_cancel_backend(pid) from pg_stat_activity
                      where query like '%forebay.merge(%' and pid <> pg_backend_pid()
                        and datname = current_database()";

/// An orphan by a statement of one's own, and by the merge's.
const ORPHANS: &[&str] = &[
    "insert into child values (99, 99, 0)",
    r#"do $$ declare staging text; begin
        select s.staging::text into staging from forebay.stage(array['child'::regclass]) s;
        execute format('insert into %s select pg_current_xact_id(), 0, 0, ''u'', ''{1,2}'', 99, 99', staging);
        execute (select sql from captured limit 1)
            using pg_current_xact_id(), 0, 2147483647, null::tid[];
    end $$"#,
];

/// How a merge ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Success,
    Error,
    Cancel,
    Timeout,
    CancelBeforeItWrites,
    CancelWhenItHasChecked,
    Rejection,
}

impl Ending {
    const ALL: [Self; 7] = [
        Self::Success,
        Self::Error,
        Self::Cancel,
        Self::Timeout,
        Self::CancelBeforeItWrites,
        Self::CancelWhenItHasChecked,
        Self::Rejection,
    ];

    fn mode(self) -> &'static str {
        match self {
            Self::Error => "raise",
            Self::Cancel | Self::Timeout => "wait",
            _ => "none",
        }
    }

    fn sqlstate(self) -> Option<&'static str> {
        match self {
            Self::Success | Self::Rejection => None,
            Self::Error => Some("53100"),
            _ => Some("57014"),
        }
    }

    async fn of_merge(self, meeting: &Meeting) -> Result<Result<Json, Error>> {
        match self {
            Self::Success | Self::Error => meeting.try_merge(CHILDREN).await,
            Self::Cancel => meeting.merge_held_at("", CHILDREN, CANCEL).await,
            Self::Timeout => {
                meeting.set("statement_timeout", "3s").await?;
                let answer = meeting.merge_at_closed_gate(CHILDREN).await;
                meeting.set("statement_timeout", "0").await?;
                answer
            }
            Self::CancelBeforeItWrites => {
                meeting.merge_held_at("merge.before_write", CHILDREN, CANCEL).await
            }
            Self::CancelWhenItHasChecked => {
                meeting.merge_held_at("merge.after_check", CHILDREN, CANCEL).await
            }
            Self::Rejection => {
                let deletion = "delete from parent where id = 2";
                meeting.merge_held_at("merge.before_write", CHILDREN, deletion).await
            }
        }
    }
}

#[tokio::test]
async fn the_next_statements_fire_all_triggers() -> Result<()> {
    for place in ["default meanwhile(0)", "check (meanwhile(id) > 0)"] {
        for ending in Ending::ALL {
            let meeting = Meeting::create(&schema(place)).await?;
            let mode = async |name: &str| {
                let sql = format!("delete from mode; insert into mode values ('{name}')");
                meeting.client().batch_execute(&sql).await
            };
            mode("capture").await?;
            meeting.set("forebay.set_based_foreign_keys", "off").await?;
            meeting.merge(CHILDREN).await?;
            meeting.set("forebay.set_based_foreign_keys", "on").await?;
            meeting.client().batch_execute("delete from child").await?;
            mode(ending.mode()).await?;
            let answer = ending.of_merge(&meeting).await?;
            assert_eq!(answer.as_ref().err().map(sqlstate), ending.sqlstate(), "{ending:?}");
            mode("none").await?;
            for orphan in ORPHANS {
                let met = meeting.as_merging(orphan).await.err();
                let met = met.with_context(|| format!("{ending:?}: {orphan}"))?;
                assert_eq!(sqlstate(&met), "23503", "{ending:?}: {orphan}: {met:?}");
            }
        }
    }
    Ok(())
}
