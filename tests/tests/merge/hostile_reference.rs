//! The owner of a target wants rows that refer to nothing, in spite of its foreign key: by code that
//! runs between the check of a set of references and the end of the statement that writes them.

use anyhow::{Context, Result};

use crate::batch::{Rows, rejections, sqlstate};
use crate::session::Meeting;

/// `attack` does what it says, and whatever calls `evil` believes that it does nothing.
fn schema(parent: &str, child: &str, attack: &str) -> String {
    format!(
        "create function attack() returns int4 language plpgsql as $attack$ {attack} $attack$;
         create function evil() returns int4 immutable language plpgsql as
             $$ begin return (select public.attack()); end $$;
         create function evil(n int4) returns int4 immutable language plpgsql as
             $$ begin return n + public.evil(); end $$;
         create table parent (id int4 primary key{parent});
         create table child (id int4 primary key, parent int4 references parent{child});
         insert into parent (id) values (1), (2), (3);"
    )
}

const ORPHANS: &str = "select from child c left join parent p on p.id = c.parent
                       where c.parent is not null and p.id is null";

/// What becomes of a batch, with the set-based check or without.
async fn outcome(schema: &str, batch: &[Rows<'_>], set_based: bool) -> Result<String> {
    let meeting = Meeting::create(schema).await?;
    meeting.set("forebay.set_based_foreign_keys", if set_based { "on" } else { "off" }).await?;
    let answer = meeting.merge(batch).await;
    meeting.ensure_none("orphans", ORPHANS).await.with_context(|| schema.to_owned())?;
    let answer = match answer {
        Ok(answer) => format!("{:?}", rejections(&answer)?),
        Err(error) => error.downcast_ref().map(sqlstate).context("no error of the server")?.into(),
    };
    Ok(format!("{answer} {} {}", meeting.rows("parent").await?, meeting.rows("child").await?))
}

async fn ensure_the_same(schema: &str, batch: &[Rows<'_>]) -> Result<()> {
    let by_set = outcome(schema, batch, true).await?;
    let by_triggers = outcome(schema, batch, false).await?;
    assert_eq!(by_set, by_triggers, "{schema}");
    Ok(())
}

const CHILDREN: &[Rows] = &[Rows {
    table: "child",
    query: "values (0, 0, 'u'::\"char\", '{1,2}'::int2[], 10, 1), (1, 0, 'u', '{1,2}', 11, 2)",
}];

/// Code in all places where a statement calls some, while it is planned or executed.
const PLACES: &[&str] = &[
    ", v int4 default evil()",
    ", check (evil(id) > 0)",
    ", v int4 generated always as (evil(id)) stored",
    "); create index on child (evil(id)",
    "); create index on child (id) where (evil(id) > 0",
];

#[tokio::test]
async fn what_a_statement_calls_takes_no_parent_away() -> Result<()> {
    let attacks = [
        "begin delete from public.parent where id = 1; return 0; end",
        "begin update public.parent set id = 9 where id = 1; return 0; end",
        "begin
            if to_regclass('public.former') is null then
                alter table public.parent rename to former;
                create table public.parent as select * from public.former;
                delete from public.former where id = 1;
            end if;
            return 0;
         end",
    ];
    for attack in attacks {
        for place in PLACES {
            let registered =
                format!("{} select forebay.add_target('child')", schema("", place, attack));
            ensure_the_same(&registered, CHILDREN).await?;
        }
    }
    Ok(())
}

/// Parents that the batch itself has written are gone when their children come.
#[tokio::test]
async fn what_a_statement_calls_takes_no_new_parent_away() -> Result<()> {
    let attack = "begin delete from public.parent where id > 3; return 0; end";
    let schema = format!(
        "{} select forebay.add_target('parent'), forebay.add_target('child')",
        schema(", v int4 default evil(), w int4 default evil()", "", attack)
    );
    let batch = [
        Rows {
            table: "parent",
            query: "values (0, 0, 'u'::\"char\", '{1,2}'::int2[], 4, 4, null::int4), (1, 0, 'u', '{1,3}', 5, null, 5)",
        },
        Rows {
            table: "child",
            query: "values (0, 1, 'u'::\"char\", null::int2[], 10, 4), (1, 1, 'u', null, 11, 5)",
        },
    ];
    ensure_the_same(&schema, &batch).await
}

/// The code runs the very statement that is about to leave its triggers out.
#[tokio::test]
async fn a_statement_of_the_same_text_fires_all_triggers() -> Result<()> {
    let attack = r#"
        declare context text; statement text;
        begin
            get diagnostics context = pg_context;
            statement := substring(context from 'SQL statement "(insert into public\.child [^\n]*)"');
            if statement is not null and not exists (select from public.attacked) then
                insert into public.attacked default values;
                delete from public.parent where id = 1;
                execute statement using pg_current_xact_id(), 0, 2147483647, null::tid[];
            end if;
            return 0;
        end"#;
    for place in PLACES {
        let schema = format!(
            "create table attacked (); {}
             select forebay.add_target('child', on_conflict => 'ignore')",
            schema("", place, attack)
        );
        ensure_the_same(&schema, CHILDREN).await?;
    }
    Ok(())
}
