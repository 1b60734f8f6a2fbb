//! The owner of a target wants more rights than its own: those of the writer, or of the extension's
//! owner, a superuser. Whatever code it hangs on its table gains nothing.

use anyhow::{Context, Result};
use forebay_tests::{Database, Stack};
use tokio_postgres::Client;

use crate::batch::{Rows, Source, rejected};

/// A database, its table `t (id, v)`, and who owns it.
struct Lair {
    database: Database,
    owner: String,
    owners: Client,
}

impl Lair {
    /// What the owner does (`as_owner`) it does when the table is registered already.
    async fn create(prefix: &str, as_owner: &str) -> Result<Self> {
        let database = Database::create(&Stack::from_env()?, prefix).await?;
        let owner = format!("{}_owner", database.name());
        database
            .primary()
            .batch_execute(&format!(
                "create role {owner} login in role forebay_admin;
                 grant create on schema public to {owner};
                 create table secret (s text); insert into secret values ('of the superuser');"
            ))
            .await?;
        let owners = database.connect_primary_as(&owner).await?;
        owners
            .batch_execute(
                "create table t (id int4 primary key, v text);
                 create table seen (who text, did text);
                 create function spy(did text) returns void language plpgsql as $$
                 begin insert into public.seen values (current_user, did); end $$;
                 create function try(did text) returns void language plpgsql as $$
                 begin
                     execute did;
                     insert into public.seen values (current_user, 'did: ' || did);
                 exception when others then
                     insert into public.seen values (current_user, sqlstate || ': ' || did);
                 end $$;
                 select forebay.add_target('t');",
            )
            .await?;
        owners.batch_execute(as_owner).await?;
        Ok(Self { database, owner, owners })
    }

    /// Merges as a writer does, by set and by walk, and checks that the session is what it was.
    async fn merge(&self, rows: &str) -> Result<Vec<(i64, String)>> {
        let role = self.database.writer_role();
        let writer = self.database.connect_primary_as(role).await?;
        let state = "select current_user || session_user || current_setting('search_path')
                     || current_setting('role') || current_setting('row_security')";
        let before: String = writer.query_one(state, &[]).await?.get(0);
        let batch = [Rows { table: "t", query: rows }];
        let answer = Source::claim(&writer).await?.merge(&batch).await?;
        let after: String = writer.query_one(state, &[]).await?.get(0);
        assert_eq!(before, after, "something is left in the writer's session");
        rejected(&answer)
    }

    /// Who was seen doing what, but for what failed; all of it must be the owner's.
    async fn done(&self) -> Result<Vec<String>> {
        let sql = "select distinct who, did from seen order by did";
        let seen = self.owners.query(sql, &[]).await?;
        let mut done = Vec::new();
        for row in seen {
            let (who, did): (String, String) = (row.get(0), row.get(1));
            assert_eq!(who, self.owner, "{did}");
            done.push(did);
        }
        Ok(done)
    }
}

const ONE_ROW: &str = "values (0, 0, 'u'::\"char\", null::int2[], 1, 'x')";

/// All that a trigger may try on the way to another's rights.
#[tokio::test]
async fn a_trigger_gains_nothing() -> Result<()> {
    let lair = Lair::create(
        "hostile_trigger",
        "create function attack() returns trigger language plpgsql as $$
         begin
             perform public.try('set role postgres');
             perform public.try('set session authorization postgres');
             perform public.try('reset role');
             perform public.try('reset session authorization');
             perform public.try('alter role current_user superuser');
             perform public.try('select * from public.secret');
             perform public.try('select * from forebay.progress');
             perform public.try('update forebay.progress set next_offset = 0');
             perform public.try('create temporary table mine ()');
             perform public.try('prepare mine as select 1');
             perform public.try('select forebay.merge_staged(0, ''{}'', ''{}'', ''{}'', null, ''{}'')');
             perform set_config('search_path', 'public', false);
             perform set_config('row_security', 'off', false);
             return new;
         end $$;
         create trigger attack before insert or update on t for each row execute function attack();
         create trigger later after insert on t for each row execute function attack();",
    )
    .await?;
    assert_eq!(lair.merge(ONE_ROW).await?, []);
    let done: Vec<_> =
        lair.done().await?.into_iter().filter(|did| did.starts_with("did: ")).collect();
    // An admin may read progress. The other two are allowed, and change nothing.
    let harmless = [
        "did: prepare mine as select 1",
        "did: reset role",
        "did: reset session authorization",
        "did: select * from forebay.progress",
    ];
    let harmful: Vec<_> = done.iter().filter(|did| !harmless.contains(&did.as_str())).collect();
    assert!(harmful.is_empty(), "{harmful:?}");
    Ok(())
}

/// Code that is evaluated for a row: a default, a check of the table, a check of a domain, an
/// expression of an index, a generated column, a policy of row security.
#[tokio::test]
async fn expressions_run_as_the_owner() -> Result<()> {
    let lair = Lair::create(
        "hostile_expression",
        "create function note(value text, place text) returns text immutable language plpgsql as $$
         begin
             perform public.spy(place);
             perform public.try('select * from public.secret');
             return value;
         end $$;
         create function note_ok(value text, place text) returns boolean immutable language plpgsql as $$
         begin perform public.note(value, place); return true; end $$;
         create domain noted as text check (note_ok(value, 'domain'));
         alter table t add by_default text default note('d', 'default'),
             add of_domain noted,
             add made text generated always as (note(v, 'generated')) stored,
             add check (note_ok(v, 'check'));
         create unique index on t (note(v, 'index'));
         create policy mine on t using (note_ok(v, 'policy')) with check (note_ok(v, 'policy'));
         alter table t enable row level security;
         truncate seen;",
    )
    .await?;
    let rows = "values (0, 0, 'u'::\"char\", '{1,2,4}'::int2[], 1, 'x', null, 'y'),
                       (1, 0, 'u', '{1,2,4}', 2, 'z', null, 'y')";
    assert_eq!(lair.merge(rows).await?, []);
    let again = "values (0, 0, 'u'::\"char\", '{1,2,4}'::int2[], 1, 'w', null, 'y')";
    assert_eq!(lair.merge(again).await?, []);
    let done = lair.done().await?;
    for place in ["check", "default", "domain", "generated", "index"] {
        assert!(done.iter().any(|did| did == place), "{place} is not among {done:?}");
    }
    assert!(!done.iter().any(|did| did.starts_with("did: ")), "{done:?}");
    Ok(())
}

/// Operators and functions of its own in `public`, and a search path to them.
#[tokio::test]
async fn shadows_of_what_the_merge_uses_are_not_found() -> Result<()> {
    let lair = Lair::create(
        "hostile_shadow",
        "create function caught(a int4, b int4) returns boolean language plpgsql as $$
         begin perform public.spy('operator'); return true; end $$;
         create operator public.= (leftarg = int4, rightarg = int4, function = caught);
         create operator public.<> (leftarg = int4, rightarg = int4, function = caught);
         create function public.count(int4) returns int8 language plpgsql as $$
         begin perform public.spy('count'); return 0; end $$;
         create function public.coalesce_all(text) returns text language sql as 'select $1';
         create function public.input(text, text, int4) returns text language plpgsql as $$
         begin perform public.spy('input'); return $1; end $$;",
    )
    .await?;
    let client = lair.database.primary();
    let name = lair.database.name();
    client
        .batch_execute(&format!("alter database {name} set search_path = public, pg_catalog"))
        .await?;
    assert_eq!(lair.merge(ONE_ROW).await?, []);
    assert_eq!(lair.merge(&ONE_ROW.replace("'x'", "'y'")).await?, []);
    let deletion = "values (0, 0, 'd'::\"char\", null::int2[], 1, null::text)";
    assert_eq!(lair.merge(deletion).await?, []);
    let done = lair.done().await?;
    assert!(done.is_empty(), "{done:?}");
    Ok(())
}

/// A constraint that an event's trigger defers can't be checked with the owner's rights, so the event
/// is rejected. Its neighbours fail or pass by themselves.
#[tokio::test]
async fn a_trigger_that_defers_constraints_harms_no_neighbour() -> Result<()> {
    let lair = Lair::create(
        "hostile_deferral",
        "create table parent (id text primary key); insert into parent values ('there'), ('defer');
         alter table t add constraint t_v foreign key (v) references parent deferrable;
         create function defer() returns trigger language plpgsql as $$
         begin set constraints all deferred; return new; end $$;
         create trigger defer before insert on t for each row when (new.v = 'defer')
             execute function defer();",
    )
    .await?;
    let rows =
        "values (0, 0, 'u'::\"char\", null::int2[], 1, 'there'), (1, 0, 'u', null, 2, 'missing'),
                       (2, 0, 'u', null, 3, 'defer'), (3, 0, 'u', null, 4, 'there'),
                       (4, 0, 'u', null, 5, 'missing'), (5, 0, 'u', null, 6, 'defer'),
                       (6, 0, 'u', null, 7, 'there')";
    let expected =
        [(1, "23503"), (2, "42501"), (4, "23503"), (5, "42501")].map(|(n, s)| (n, s.to_owned()));
    assert_eq!(lair.merge(rows).await?, expected);
    let merged: String = lair
        .owners
        .query_one("select string_agg(id::text, ' ' order by id) from t", &[])
        .await
        .context("rows")?
        .get(0);
    assert_eq!(merged, "1 4 7");
    Ok(())
}

/// A trigger of one target's owner can't do to another owner's what it may not do itself.
#[tokio::test]
async fn a_neighbours_table_is_out_of_reach() -> Result<()> {
    let lair = Lair::create(
        "hostile_neighbour",
        "create function attack() returns trigger language plpgsql as $$
         begin
             perform public.try('delete from public.others');
             perform public.try('insert into public.others values (66)');
             return new;
         end $$;
         create trigger attack before insert on t for each row execute function attack();",
    )
    .await?;
    let client = lair.database.primary();
    client
        .batch_execute(
            "create table others (id int4 primary key); select forebay.add_target('others')",
        )
        .await?;
    let writer = lair.database.connect_primary_as(lair.database.writer_role()).await?;
    let others = "values (0, 1, 'u'::\"char\", null::int2[], 5)";
    let batch = [Rows { table: "t", query: ONE_ROW }, Rows { table: "others", query: others }];
    let answer = Source::claim(&writer).await?.merge(&batch).await?;
    assert_eq!(rejected(&answer)?, [], "{answer}");
    let done = lair.done().await?;
    assert!(!done.iter().any(|did| did.starts_with("did: ")), "{done:?}");
    let rows: String =
        client.query_one("select string_agg(id::text, ' ') from others", &[]).await?.get(0);
    assert_eq!(rows, "5");
    Ok(())
}

/// Whoever plans a query runs what the table's owner has put into an index. A table that refers to it
/// is no reason to query it as that table's owner.
#[tokio::test]
async fn a_referring_tables_owner_runs_nothing_of_the_parents() -> Result<()> {
    let lair = Lair::create(
        "hostile_parent",
        "insert into t values (1, 'parent'); grant insert on seen to public;
         create function attack() returns int4 language plpgsql as $$
         begin perform public.try('select'); return 1; end $$;
         create function lure(n int4) returns int4 language plpgsql immutable as $$
         begin return (select public.attack()); end $$;
         create index on t ((id + public.lure(1)))",
    )
    .await?;
    let victim = format!("{}_victim", lair.database.name());
    lair.database
        .primary()
        .batch_execute(&format!(
            "create role {victim}; grant select, references on t to {victim};
             create table child (id int4 primary key, parent int4 references t, serial int4 unique);
             insert into child values (50, null, 1);
             alter table child owner to {victim};
             select forebay.add_target('child')"
        ))
        .await?;
    let writer = lair.database.connect_primary_as(lair.database.writer_role()).await?;
    let rows = "values (0, 0, 'u'::\"char\", null::int2[], 1, 1, 1), (1, 0, 'u', null, 2, 1, 2),
                       (2, 0, 'u', null, 3, 9, 3)";
    let batch = [Rows { table: "child", query: rows }];
    let answer = Source::claim(&writer).await?.merge(&batch).await?;
    let expected = [(0, "23505"), (2, "23503")].map(|(n, s)| (n, s.to_owned()));
    assert_eq!(rejected(&answer)?, expected, "{answer}");
    assert_eq!(lair.done().await?, ["did: select"]);
    Ok(())
}
