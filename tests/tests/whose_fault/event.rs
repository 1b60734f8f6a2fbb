//! The event's faults: each kind by what really causes it, in a batch of good events.

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use rand::Rng;

use crate::scene::{CULPRIT, Scene};

/// A table that one event of the batch is bad for, whatever PostgreSQL finds in it.
struct Kind {
    sqlstate: &'static str,
    name: &'static str,
    /// Makes the table `{name}` with an `id`, a `note` and whatever else refuses the culprit.
    table: &'static str,
}

const fn kind(sqlstate: &'static str, name: &'static str, table: &'static str) -> Kind {
    Kind { sqlstate, name, table }
}

const KINDS: &[Kind] = &[
    kind(
        "22012",
        "division",
        "create table {name} (id int4 primary key, note text, check (1 / (id - 3) < 2))",
    ),
    kind(
        "22P02",
        "conversion",
        "create table {name} (id int4 primary key, note text, n int4,
             check (note::int4 > 0 or note is null))",
    ),
    kind(
        "22003",
        "overflow",
        "create table {name} (id int4 primary key, note text,
             n int2 generated always as ((case id when 3 then 100000 end)::int2) stored)",
    ),
    kind(
        "22001",
        "length",
        "create table {name} (id int4 primary key, note text, short varchar(3));
         create function {name}_lengthen() returns trigger language plpgsql as
             $$begin new.short := new.note; return new; end$$;
         create trigger lengthen before insert on {name}
             for each row execute function {name}_lengthen()",
    ),
    kind(
        "23502",
        "absence",
        "create table {name} (id int4 primary key, note text,
             n int4 not null generated always as (nullif(id, 3)) stored)",
    ),
    kind(
        "23503",
        "reference",
        "create table {name}_parent (id int4 primary key);
         insert into {name}_parent select n from generate_series(1, 9) n where n <> 3;
         create table {name} (id int4 primary key references {name}_parent, note text)",
    ),
    kind(
        "23505",
        "duplicate",
        "create table {name} (id int4 primary key, note text);
         create unique index on {name} (abs(id));
         insert into {name} values (-3)",
    ),
    kind(
        "23514",
        "check_constraint",
        "create table {name} (id int4 primary key, note text, check (id <> 3))",
    ),
    kind(
        "23P01",
        "exclusion",
        "create table {name} (id int4 primary key, note text,
             exclude using gist (int4range(abs(id), abs(id) + 1) with &&));
         insert into {name} values (-3)",
    ),
    kind(
        "54000",
        "index_row",
        "create table {name} (id int4 primary key, note text);
         create index on {name} (note)",
    ),
    kind(
        "44000",
        "view",
        "create table {name} (id int4 primary key, note text);
         create table {name}_copy (id int4);
         create view {name}_most as select id from {name}_copy where id <> 3
             with local check option;
         create function {name}_pass_on() returns trigger language plpgsql as
             $$begin insert into public.{name}_most values (new.id); return new; end$$;
         create trigger pass_on before insert on {name}
             for each row execute function {name}_pass_on()",
    ),
    kind(
        "P0001",
        "objection",
        "create table {name} (id int4 primary key, note text);
         create function {name}_object() returns trigger language plpgsql as
             $$begin raise exception 'not this one'; end$$;
         create trigger object before insert on {name}
             for each row when (new.id = 3) execute function {name}_object()",
    ),
];

/// The culprit's note is long, of random digits, and no number; the others' are `1`.
fn event(id: i32) -> String {
    let mut random = rand::rng();
    let note = match id {
        CULPRIT => (0..10_000).map(|_| random.random_range('a'..='z')).collect(),
        _ => "1".to_owned(),
    };
    format!(r#"{{"id": {id}, "note": "{note}"}}"#)
}

#[tokio::test]
async fn bad_data_is_a_dead_letter_of_its_event_alone() -> Result<()> {
    let scene = Scene::create("data").await?;
    let cases = KINDS.iter().map(|Kind { sqlstate, name, table }| {
        let scene = &scene;
        async move {
            let made = scene.database.primary().batch_execute(&table.replace("{name}", name)).await;
            made.with_context(|| format!("make the table {name}"))?;
            scene.register(name).await?;
            let mut case = scene.start(name, event).await?;
            case.check_dead(sqlstate).await?;
            case.writer.stop().await
        }
    });
    try_join_all(cases).await.map(drop)
}

/// By their classes, not one by one.
#[tokio::test]
async fn whole_classes_are_the_events_fault() -> Result<()> {
    let scene = Scene::create("classes").await?;
    let cases = ["22000", "22023", "2200N", "22KKK", "23000", "23001", "23KKK"].map(|sqlstate| {
        let scene = &scene;
        async move {
            let name = format!("t{}", sqlstate.to_lowercase());
            let mut case = scene.raise(&name, sqlstate, Some(CULPRIT)).await?;
            case.check_dead(sqlstate).await?;
            case.writer.stop().await
        }
    });
    try_join_all(cases).await.map(drop)
}

/// Row security of a table that a trigger writes, though the owner has every grant. (A target may
/// not force its own on its owner.)
#[tokio::test]
async fn a_refusal_by_row_security_is_the_events_fault() -> Result<()> {
    let scene = Scene::create("security").await?;
    let owner = format!("{}_owner", scene.database.name());
    let sql = format!(
        "create role {owner}; create table item (id int4 primary key, note text);
         create table seen (id int4); grant insert on seen to {owner};
         create policy most on seen to {owner} with check (id <> 3);
         alter table seen enable row level security;
         create function see() returns trigger language plpgsql as $$
         begin insert into public.seen values (new.id); return new; end $$;
         create trigger see before insert on item for each row execute function see();
         alter table item owner to {owner}"
    );
    scene.database.primary().batch_execute(&sql).await?;
    scene.register("item").await?;
    let mut case = scene.start("item", event).await?;
    case.check_dead("42501").await?;
    case.writer.stop().await
}
