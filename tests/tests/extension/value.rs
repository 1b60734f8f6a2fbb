//! Values of users' types and of types with modifiers: they mean what an insert of them means.

use anyhow::{Context, Result};
use forebay_tests::{Database, Stack};
use serde_json::Value as Json;

use crate::batch::{Source, rejections};

const SCHEMA: &str = "
    create extension citext;
    create type mood as enum ('sad', 'happy');
    create type pair as (a int4, b mood);
    create domain short as varchar(3);
    create domain positive as int4 not null check (value > 0);
    create collation nobody_cares (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table typed (k citext primary key, m mood, p pair, s short, n positive, ms mood[],
        v varchar(3), vs varchar(3)[]);
    create table rounded (k timestamp(0) primary key, n numeric(5, 2), c char(4), b bit(3));
    create table folded (k text collate nobody_cares primary key, v int4);";

async fn database(prefix: &str) -> Result<Database> {
    let database = Database::create(&Stack::from_env()?, prefix).await?;
    let client = database.primary();
    client.batch_execute(SCHEMA).await?;
    for (table, policy) in [("typed", "update"), ("rounded", "identical"), ("folded", "update")] {
        let add = format!("select forebay.add_target('{table}', on_conflict => '{policy}')");
        client.batch_execute(&add).await?;
    }
    Ok(database)
}

fn tally<'a>(answer: &'a Json, outcome: &str) -> Option<&'a Json> {
    answer["targets"][0].get(outcome)
}

#[tokio::test]
async fn users_types_are_staged_as_their_literals() -> Result<()> {
    let database = database("value_types").await?;
    let client = database.primary();
    let mut source = Source::claim(client).await?;
    let good =
        "'Key', 'happy', '(7,sad)', 'abc', '5', '{sad,NULL,happy}', 'abc  ', '{abc,\"xy  \"}'";
    let rows = [
        &*format!("0, 0, 'u'; {good}"),
        "1, 0, 'u'; 'bad mood', 'angry', null, null, '1', null, null, null",
        "2, 0, 'u'; 'bad pair', null, '(x,sad)', null, '1', null, null, null",
        "3, 0, 'u'; 'long', null, null, 'abcd', '1', null, null, null",
        "4, 0, 'u'; 'negative', null, null, null, '-1', null, null, null",
        "5, 0, 'u'; 'null', null, null, null, null, null, null, null",
        "6, 0, 'u'; 'long too', null, null, null, '1', null, 'abcd', null",
        "7, 0, 'u'; 'long element', null, null, null, '1', null, null, '{abcd}'",
        "8, 0, 'u'; 'kEY', 'sad', '(7,sad)', 'abc', '5', '{sad,NULL,happy}', 'abc', '{abc,xy}'",
    ];
    let answer = source.merge("typed", &rows).await?;
    let rejected: Vec<_> =
        rejections(&answer)?.into_iter().map(|(event, sqlstate, _)| (event, sqlstate)).collect();
    let expected = [
        (1, "22P02"),
        (2, "22P02"),
        (3, "22001"),
        (4, "23514"),
        (5, "23502"),
        (6, "22001"),
        (7, "22001"),
    ];
    assert_eq!(rejected, expected.map(|(event, sqlstate)| (event, sqlstate.to_owned())));
    client.batch_execute("create table inserted (like typed)").await?;
    let expected = "'Key', 'sad', '(7,sad)', 'abc', '5', '{sad,NULL,happy}', 'abc', '{abc,xy}'";
    client.batch_execute(&format!("insert into inserted values ({expected})")).await?;
    let both = "select (select string_agg(t::text, ' ') from typed t), i::text from inserted i";
    let row = client.query_one(both, &[]).await?;
    let (merged, inserted): (String, String) = (row.get(0), row.get(1));
    assert_eq!(merged, inserted);
    let again = source.merge("typed", &rows[8..]).await?;
    assert_eq!(tally(&again, "unchanged").context("unchanged")?, 1, "{again}");
    Ok(())
}

#[tokio::test]
async fn a_type_modifier_counts_before_rows_are_compared() -> Result<()> {
    let database = database("value_modifiers").await?;
    let mut source = Source::claim(database.primary()).await?;
    let row = "0, 0, 'u'; '2026-01-01 00:00:00.4', 1.005, 'ab', '101'";
    source.merge("rounded", &[row]).await?;
    let again = source.merge("rounded", &[row]).await?;
    assert_eq!(tally(&again, "unchanged").context("unchanged")?, 1, "{again}");
    let rounded = "0, 0, 'u'; '2026-01-01 00:00:00', 1.01, 'ab  ', '101'";
    let again = source.merge("rounded", &[rounded]).await?;
    assert_eq!(tally(&again, "unchanged").context("unchanged")?, 1, "{again}");
    Ok(())
}

#[tokio::test]
async fn a_keys_collation_says_which_keys_are_equal() -> Result<()> {
    let database = database("value_collation").await?;
    let client = database.primary();
    let mut source = Source::claim(client).await?;
    let answer = source.merge("folded", &["0, 0, 'u'; 'Key', 1", "1, 0, 'u'; 'kEY', 2"]).await?;
    assert_eq!(rejections(&answer)?, []);
    source.merge("folded", &["0, 0, 'u'; 'KEY', 3"]).await?;
    let row = client.query_one("select count(*), max(v), max(k) from folded", &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (1, 3));
    Ok(())
}
