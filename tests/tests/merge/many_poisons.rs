//! A batch of 5,000 events, some of which are poison: the others are merged.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result};
use forebay_tests::{Database, Stack};

use crate::batch::{Rejection, Rows, Source, rejections};

const EVENTS: i64 = 5000;

const SCHEMA: &str = "
    create type mood as enum ('sad', 'happy');
    create domain small as int4 constraint small_check check (value < 100);
    create table sensor (id int4 primary key);
    insert into sensor select generate_series(0, 9);
    create table reading (
        id int4 primary key,
        sensor int4 not null constraint reading_sensor references sensor,
        serial int4 not null constraint reading_serial unique,
        level int4 constraint reading_level check (level >= 0),
        mood mood,
        size small);
    create table fixed (id int4 primary key, v int4);
    insert into fixed select n, n from generate_series(0, 4999) n;
    create table watched (id int4 primary key, v int4);
    create function refuse() returns trigger language plpgsql as $$
    begin
        if new.v < 0 then raise exception 'not this one'; end if;
        return new;
    end $$;
    create trigger refuse before insert on watched for each row execute function refuse();
    select forebay.add_target('reading'), forebay.add_target('fixed', on_conflict => 'identical'),
           forebay.add_target('watched');
    create table poison (event int4 primary key, kind int4);
    insert into reading values (-1, 0, -1, 0, 'sad', 1);";

/// A row of `reading` per event, and of `fixed` per ten events and of `watched` per thousand.
const READINGS: &str = "
    select n, 0, 'u'::\"char\", null::int2[], n,
           case when p.kind = 2 then 77 else n % 10 end,
           case p.kind when 1 then null when 3 then -1 else n end,
           case when p.kind = 0 then -1 else n end,
           case when p.kind = 5 then 'angry' else 'happy' end,
           case when p.kind = 6 then '100' else '1' end
    from generate_series(0, 4999) n left join poison p on p.event = n";
const FIXED: &str = "
    select n, 1, 'u'::\"char\", null::int2[], n, case when p.kind = 4 then -1 else n end
    from generate_series(0, 4999) n left join poison p on p.event = n
    where n % 10 = 0 or p.kind = 4";
const WATCHED: &str = "
    select n, 2, 'u'::\"char\", null::int2[], n, case when p.kind = 7 then -1 else n end
    from generate_series(0, 4999) n left join poison p on p.event = n
    where n % 1000 = 0 or p.kind = 7";

/// Each kind of poison, as it must be told.
fn told(event: i64, kind: i32) -> Rejection {
    let (sqlstate, target, constraint) = match kind {
        0 => ("23514", "public.reading", Some("reading_level")),
        1 => ("23502", "public.reading", None),
        2 => ("23503", "public.reading", Some("reading_sensor")),
        3 => ("23505", "public.reading", Some("reading_serial")),
        4 => ("23505", "public.fixed", Some("fixed_pkey")),
        5 => ("22P02", "public.reading", None),
        6 => ("23514", "public.reading", Some("small_check")),
        _ => ("P0001", "public.watched", None),
    };
    Rejection::new(event, sqlstate, target, constraint)
}

#[tokio::test]
async fn one_poison_of_5000_events() -> Result<()> {
    for kind in 0..8 {
        merge_poisons(&format!("values (2718, {kind})")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn ten_poisons_of_5000_events() -> Result<()> {
    merge_poisons("select n * 499 + 3, n % 8 from generate_series(0, 9) n").await
}

#[tokio::test]
async fn five_hundred_poisons_of_5000_events() -> Result<()> {
    merge_poisons("select n * 10 + n % 7, n % 8 from generate_series(0, 499) n").await
}

/// `poisons`: a query of (event, kind).
async fn merge_poisons(poisons: &str) -> Result<()> {
    let database = Database::create(&Stack::from_env()?, "poisons").await?;
    let client = database.primary();
    client.batch_execute(SCHEMA).await?;
    client.batch_execute(&format!("insert into poison {poisons}")).await?;
    let expected: Vec<_> = client
        .query("select event, kind from poison order by event", &[])
        .await?
        .iter()
        .map(|row| told(row.get::<_, i32>(0).into(), row.get(1)))
        .collect();
    let mut source = Source::claim(client).await?;
    let started = Instant::now();
    let batch = [
        Rows { table: "reading", query: READINGS },
        Rows { table: "fixed", query: FIXED },
        Rows { table: "watched", query: WATCHED },
    ];
    let answer = source.merge(&batch).await?;
    println!(
        "{} of {EVENTS} events are poison: {:.2} s, path {}, {} subtransactions, {} walked, seconds {}",
        expected.len(),
        started.elapsed().as_secs_f64(),
        answer["path"],
        answer["subtransactions"],
        answer["walked"],
        answer["seconds"]
    );
    let rejected = rejections(&answer)?;
    let unexpected: Vec<_> = rejected.iter().filter(|one| !expected.contains(one)).collect();
    assert!(unexpected.is_empty(), "rejected for something else: {unexpected:?}");
    assert_eq!(rejected.len(), expected.len());
    check_merged(&database, &expected).await
}

/// All rows of the other events are there, written by one transaction, and none of the poisons'.
async fn check_merged(database: &Database, expected: &[Rejection]) -> Result<()> {
    let client = database.primary();
    let poisons: BTreeSet<_> = expected.iter().map(|one| one.event).collect();
    let merged = client.query("select id from reading where id >= 0 order by id", &[]).await?;
    let merged: Vec<i64> = merged.iter().map(|row| row.get::<_, i32>(0).into()).collect();
    let good: Vec<_> = (0..EVENTS).filter(|event| !poisons.contains(event)).collect();
    assert!(merged == good, "{} of {} events are merged", merged.len(), good.len());
    let sql = "select (select count(*) from watched), (select count(*) from watched w join poison p on p.event = w.id),
                      (select count(*) from fixed where v <> id)";
    let row = client.query_one(sql, &[]).await?;
    let watched = good.iter().filter(|event| **event % 1000 == 0).count();
    assert_eq!(row.get::<_, i64>(0), i64::try_from(watched)?);
    assert_eq!((row.get::<_, i64>(1), row.get::<_, i64>(2)), (0, 0));
    let progress = client.query_one("select next_offset from forebay.progress", &[]).await;
    assert_eq!(progress.context("progress")?.get::<_, i64>(0), 1);
    Ok(())
}
