//! What tables may have besides foreign keys: with the set-based check, all of it does just what it does
//! without.

use anyhow::{Context, Result};

use crate::batch::{Rows, rejections, sqlstate};
use crate::session::Meeting;

const SCHEMA: &str = r#"
    create table parent (id int4 primary key, note text);
    create table child (id int4 primary key, parent int4 references parent, v int4);
    create table other (id int4 primary key, v int4);
    insert into parent values (1, 'one'), (2, 'two'), (3, 'three');
    insert into child values (30, 1, null), (31, 2, null);
    create table log (n int4 generated always as identity, what text);
    create function note(what text) returns void language sql as
        $$ insert into public.log (what) values (what) $$;
    create function on_row() returns trigger language plpgsql as $$
    begin
        perform public.note(concat_ws(' ', tg_name, tg_when, tg_op, old, new));
        return coalesce(new, old);
    end $$;
    create function on_statement() returns trigger language plpgsql as $$
    begin
        perform public.note(concat_ws(' ', tg_name, tg_when, tg_op, (select count(*) from given)));
        return null;
    end $$;
    create function lead_astray() returns trigger language plpgsql as $$
    begin
        new.parent := case new.id when 10 then 99 else new.parent end;
        return new;
    end $$;
    create function give_child() returns trigger language plpgsql as $$
    begin
        insert into public.child values (new.id + 100, new.v, 0);
        return new;
    end $$;
    create function take_parent() returns trigger language plpgsql as $$
    begin
        delete from public.parent where id = new.v;
        return new;
    end $$;"#;

/// What was logged, in order.
const LOG: &str = "(select row_number() over (order by n), what from log)";

/// What a case adds before its tables become targets.
const CASES: &[&str] = &[
    "",
    "create trigger t before insert or update on child for each row execute function on_row()",
    "create trigger t after insert or update or delete on child for each row execute function on_row()",
    "create trigger t before insert or update on child for each row execute function lead_astray()",
    "create trigger t after update of v on child for each row when (new.v > 1) execute function on_row()",
    "create trigger t after insert on child referencing new table as given
         for each statement execute function on_statement();
     create trigger u after update on child referencing new table as given
         for each statement execute function on_statement();
     create trigger d after delete on child referencing old table as given
         for each statement execute function on_statement()",
    "create trigger t before insert on child for each row execute function lead_astray();
     alter table child enable always trigger t",
    "create trigger t before insert on child for each row execute function lead_astray();
     alter table child enable replica trigger t",
    "create trigger t before insert on child for each row execute function lead_astray();
     alter table child disable trigger t",
    "create trigger t after delete or update on parent for each row execute function on_row()",
    "create constraint trigger t after insert on child deferrable initially deferred
         for each row execute function on_row()",
    "create rule r as on insert to child do also select note('rule')",
    "create rule r as on insert to child where new.id = 10 do instead nothing",
    "create rule r as on update to child do also insert into child values (77, 77, 0)",
    "alter table child alter constraint child_parent_fkey deferrable initially deferred",
    "alter table child alter constraint child_parent_fkey deferrable initially immediate",
    "alter table child drop constraint child_parent_fkey; insert into child values (32, 98, 0);
     alter table child add constraint child_parent_fkey foreign key (parent) references parent not valid",
    "alter table child disable trigger all",
    "alter table child add exclude using btree (v with =) where (v > 0)",
    "alter table child add exclude using btree (v with =) where (v > 0) deferrable initially deferred",
    "alter table child drop constraint child_parent_fkey;
     alter table child add constraint child_parent_fkey foreign key (parent) references parent
         on update cascade on delete cascade",
    "alter table child add constraint twice foreign key (parent) references parent",
    "alter table child add constraint by_v foreign key (v) references parent",
    // What triggers run fires all triggers.
    "create trigger t before insert on other for each row execute function give_child()",
    "create trigger t after insert on other for each row execute function give_child()",
    "create trigger t before insert on other for each row execute function take_parent()",
    "create trigger t after insert on other for each row execute function take_parent()",
    // So does what defaults run.
    "create function given() returns int4 language plpgsql as $$
     begin
        if not exists (select from public.child where id = 50) then
            insert into public.child values (50, 97, 0);
        end if;
        return 5;
     end $$;
     alter table child alter v set default given()",
    "create function given() returns int4 language plpgsql as $$
     begin
        if not exists (select from public.child where id = 50) then
            insert into public.child values (50, 97, 0);
        end if;
        return 5;
     end $$;
     create function taken() returns int4 immutable language plpgsql as
         $$ begin return (select public.given()); end $$;
     alter table child alter v set default taken()",
    // The rights of the tables' owner.
    "OWNED",
    "OWNED; create policy p on parent using (id = 1);
     alter table parent enable row level security, force row level security",
    "OWNED; create policy p on parent using (id = 1); alter table parent enable row level security",
    "OWNED; revoke all on parent from OWNER",
    "OWNED; revoke update on parent from OWNER",
    "OWNED; revoke select on parent from OWNER",
    "OWNED; create schema hidden; alter table parent set schema hidden",
];

const OWNED: &str = "create role OWNER; alter table parent owner to OWNER; alter table child owner to OWNER;
     alter table other owner to OWNER; alter table log owner to OWNER; alter function note owner to OWNER";

/// Batches that insert and update, with what is refused and without, and that delete.
const BATCHES: &[&[Rows]] = &[
    &[Rows {
        table: "child",
        query: "values (0, 0, 'u'::\"char\", null::int2[], 10, 1, 1), (1, 0, 'u', null, 11, 2, 2),
                       (2, 0, 'u', null, 12, null, 3), (3, 0, 'u', null, 30, 2, 3)",
    }],
    &[Rows {
        table: "child",
        query: "values (0, 0, 'u'::\"char\", null::int2[], 13, 7, 1), (1, 0, 'u', null, 14, 2, 2),
                       (2, 0, 'u', '{1,2}', 15, 3, null), (3, 0, 'u', null, 31, 8, 1),
                       (4, 0, 'u', null, 32, 98, 1), (5, 0, 'u', null, 16, 2, 2)",
    }],
    &[
        Rows {
            table: "other",
            query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 3), (1, 0, 'u', null, 2, 66)",
        },
        Rows {
            table: "child",
            query:
                "values (0, 1, 'u'::\"char\", null::int2[], 17, 3, 4), (2, 0, 'u', null, 18, 3, 5),
                           (3, 0, 'u', null, 19, 66, 6)",
        },
    ],
    &[Rows {
        table: "child",
        query: "values (0, 0, 'd'::\"char\", null::int2[], 10, null::int4, null::int4),
                       (1, 0, 'u', null, 20, 1, 7)",
    }],
    &[Rows {
        table: "child",
        query: "values (0, 0, 'u'::\"char\", null::int2[], 21, 1, 8), (1, 0, 'u', null, 22, 3, 8)",
    }],
];

/// What becomes of all of the batches: answers, rows and what was logged, in order.
async fn outcome(case: &str, set_based: bool) -> Result<Vec<String>> {
    let meeting = Meeting::create(SCHEMA).await?;
    let case = case.replace("OWNED", OWNED).replace("OWNER", &meeting.role());
    let client = meeting.client();
    client.batch_execute(&case).await.with_context(|| case.clone())?;
    let register = "select forebay.add_target('child'), forebay.add_target('other')";
    client.batch_execute(register).await?;
    meeting.set("forebay.set_based_foreign_keys", if set_based { "on" } else { "off" }).await?;
    let mut outcome = Vec::new();
    for batch in BATCHES {
        outcome.push(match meeting.merge(batch).await {
            Ok(answer) => format!("{:?} {}", rejections(&answer)?, answer["path"]),
            Err(error) => {
                let error = error.downcast::<tokio_postgres::Error>()?;
                meeting.as_merging("rollback").await?;
                sqlstate(&error).to_owned()
            }
        });
    }
    for table in ["child", "other", LOG] {
        outcome.push(meeting.rows(table).await?);
    }
    Ok(outcome)
}

#[tokio::test]
async fn all_else_happens_as_without_the_set_based_check() -> Result<()> {
    for case in CASES {
        let by_set = outcome(case, true).await?;
        assert_eq!(by_set, outcome(case, false).await?, "{case}");
    }
    Ok(())
}
