//! The formats `flat` and `rows`, from the message to the table, with what PostgreSQL itself makes
//! of the same literals beside it.

use anyhow::{Context, Result};
use forebay_tests::{
    Database, Delivery, Message, Producer, Stack, Topic, Writer, WriterConfig,
    dead_letter::DeadLetter,
};

const SOURCE: &str = "formats";

/// A database with tables, and a topic for their events.
struct Stream {
    stack: Stack,
    database: Database,
    topic: Topic,
    producer: Producer,
}

/// Key and payload.
type Event<'a> = (Option<&'a str>, Option<&'a str>);

impl Stream {
    async fn create(prefix: &str, sql: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        database.primary().batch_execute(sql).await.context("make the tables")?;
        let topic = Topic::create(stack.kafka(), prefix, 1).await?;
        let producer = Producer::new(stack.kafka())?;
        Ok(Self { stack, database, topic, producer })
    }

    /// Rejections may be as many as they like.
    fn config(&self) -> WriterConfig {
        WriterConfig::new(&self.stack, &self.database, SOURCE, &self.topic)
            .set("rejections.max_share", 1.0)
    }

    async fn produce(&self, events: &[Event<'_>]) -> Result<Vec<Delivery>> {
        let messages = events.iter().map(|(key, payload)| Message {
            key: key.map(str::as_bytes),
            payload: payload.map(str::as_bytes),
            ..Message::default()
        });
        self.producer.send_all(&self.topic, messages).await
    }

    async fn send(&self, events: &[Event<'_>]) -> Result<Vec<Delivery>> {
        let sent = self.produce(events).await?;
        self.database.wait_until_all_merged(SOURCE, &self.topic, &sent).await?;
        Ok(sent)
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.database.dead_letters(SOURCE).await
    }

    /// SQLSTATEs of the dead letters, by offset.
    async fn refused(&self) -> Result<Vec<(i64, String)>> {
        let letters = self.dead_letters().await?;
        Ok(letters.into_iter().map(|letter| (letter.event.offset, letter.sqlstate)).collect())
    }

    /// Rows as PostgreSQL writes them, sorted.
    async fn rows(&self, table: &str) -> Result<Vec<String>> {
        let sql = format!("select row_::text from {table} as row_ order by 1");
        let rows = self.database.primary().query(&sql, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// Column, type, and values as an event has them.
const VALUES: &[(&str, &str, &[&str])] = &[
    (
        "bool_",
        "bool",
        &["true", "false", r#""t""#, r#"" No ""#, "1", "0", r#""of""#, r#""o""#, "2"],
    ),
    ("int2_", "int2", &["-32768", "32767", "32768", r#""7""#, r#"" +7 ""#, "7.0", "1e2", "true"]),
    ("int4_", "int4", &["-2147483648", "2147483647", "2147483648", "-0", r#""""#, r#""0x1F""#]),
    (
        "int8_",
        "int8",
        &["9223372036854775807", "-9223372036854775808", "9223372036854775808", "9007199254740993"],
    ),
    (
        "float4_",
        "float4",
        &["0.1", "1e-45", "3.4028235e38", "3.5e38", "1e-50", r#""NaN""#, "16777217", "-0.0"],
    ),
    (
        "float8_",
        "float8",
        &[
            "0.1",
            "5e-324",
            "1.7976931348623157e308",
            "1e309",
            "1e-400",
            "-0.0",
            r#""-inf""#,
            r#""Infinity""#,
            r#""nan""#,
            "9007199254740993",
            "0.30000000000000004",
            r#""1,5""#,
            "123456789012345678901234567890",
            r#"" 1.5 ""#,
        ],
    ),
    (
        "text_",
        "text",
        &[
            r#""""#,
            r#""\\N""#,
            r#""a\tb\nc\\d\"e'f""#,
            r#""\u00e9\ud83d\ude00 ☃""#,
            r#""\u0000""#,
            r#""\ud83d""#,
            "1.50",
            "1e400",
            "true",
            "[1]",
            r#""null""#,
            r#""\u2028\u200b\ufeff""#,
        ],
    ),
    (
        "varchar_",
        "varchar(5)",
        &[r#""12345""#, r#""123456""#, r#""12345   ""#, r#""äöüßé""#, r#""äöüßéx""#],
    ),
    ("char_", "char(5)", &[r#""ab""#, r#""ab   ""#, r#""abcdef""#, r#""""#, r#""ab       ""#]),
    ("name_", "name", &[r#""Some Name""#, r#""""#]),
    (
        "uuid_",
        "uuid",
        &[
            r#""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#,
            r#""A0EEBC999C0B4EF8BB6D6BB9BD380A11""#,
            r#""{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}""#,
            r#""a0eebc99-9c0b""#,
            r#""g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#,
            "7",
        ],
    ),
    (
        "date_",
        "date",
        &[
            r#""2024-02-29""#,
            r#""2023-02-29""#,
            r#""0001-01-01""#,
            r#""9999-12-31""#,
            r#""infinity""#,
            r#""-infinity""#,
            r#""""#,
            r#""2024-13-01""#,
        ],
    ),
    (
        "timestamp_",
        "timestamp",
        &[
            r#""2024-02-29T12:34:56.789012""#,
            r#""2024-02-29 12:34:56""#,
            r#""2024-02-29""#,
            r#""2024-02-29T12:34:56.7890125""#,
            r#""2024-02-29T12:34:56.7890135""#,
            r#""2024-02-29T12:34:56+05:30""#,
            r#""infinity""#,
            r#""1969-12-31T23:59:59.9999999""#,
            r#""2024-02-30T00:00:00""#,
            r#""9999-12-31T23:59:59.999999""#,
        ],
    ),
    (
        "timestamptz_",
        "timestamptz",
        &[
            r#""2024-02-29T12:34:56.789012Z""#,
            r#""2024-02-29 12:34:56+05:30""#,
            r#""2024-02-29T12:34:56.123-08""#,
            r#""-infinity""#,
            r#""0001-01-01T00:00:00Z""#,
            r#""2024-02-29T25:00:00Z""#,
            r#""1700000000""#,
            r#""2024-02-29T12:34:56.789012+00:00""#,
        ],
    ),
    (
        "bytea_",
        "bytea",
        &[r#""\\x""#, r#""\\xDEADbeef""#, r#""\\x0""#, r#""\\x0g""#, r#""\\x00 ff""#],
    ),
    (
        "json_",
        "json",
        &[
            r#"{"b": 1,  "a": [1.50, 1e400, "\u0000"], "b": null}"#,
            "[]",
            "1.10",
            "true",
            r#""a \"string\"""#,
            r#""\ud83d""#,
        ],
    ),
    (
        "jsonb_",
        "jsonb",
        &[
            r#"{"b": 1,  "a": [1.50, 1e100], "b": null}"#,
            "[[[]]]",
            "1.10",
            "false",
            r#""text""#,
            r#""\u0000""#,
            r#""\ud83d""#,
            r#""\ud83d\ude00""#,
            "1e400000",
            "-0.0",
            r#"{"\u00e9": "\u00E9"}"#,
        ],
    ),
    (
        "int8range_",
        "int8range",
        &[
            r#""[1,5)""#,
            r#""(1,5]""#,
            r#""(,5)""#,
            r#""[5,)""#,
            r#""(,)""#,
            r#""empty""#,
            r#""[5,5)""#,
            r#""[5,1]""#,
            r#""[1,9223372036854775807]""#,
            r#"" [ 1 , 2 ] ""#,
            r#""1,5""#,
        ],
    ),
];

/// What a value stands for as a literal: json and jsonb take it as it is, the others the text of a
/// string or number. None if that can't be a literal at all.
fn literal(type_name: &str, value: &str) -> Option<String> {
    if type_name.starts_with("json") || !value.starts_with('"') {
        return Some(value.to_owned());
    }
    serde_json::from_str(value).ok().filter(|text: &String| !text.contains('\0'))
}

/// Each value alone in an event, and PostgreSQL's own opinion of it, as a row or as a SQLSTATE.
#[tokio::test]
async fn every_type_takes_what_postgresql_takes() -> Result<()> {
    let columns = VALUES.iter().map(|(name, type_name, _)| format!("{name} {type_name}"));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "create table got (id int4 primary key, {columns}); \
         create table expected (like got including all); \
         select forebay.add_target('got')"
    );
    let stream = Stream::create("types", &sql).await?;
    let postgresql = stream.database.primary();

    let mut events = Vec::new();
    let mut expected = Vec::new();
    let nulls = VALUES.iter().map(|(name, ..)| format!(r#""{name}": null"#)).collect::<Vec<_>>();
    events.push(format!(r#"{{"id": 0, {}}}"#, nulls.join(", ")));
    postgresql.execute("insert into expected (id) values (0)", &[]).await?;
    for (name, type_name, values) in VALUES {
        for value in *values {
            let id = i64::try_from(events.len())?;
            events.push(format!(r#"{{"id": {id}, "{name}": {value}}}"#));
            let no_literal = || (id, String::new(), format!("{type_name} {value}"));
            let Some(literal) = literal(type_name, value) else {
                expected.push(no_literal());
                continue;
            };
            // PostgreSQL would read these words; in JSON they are another kind of value.
            if matches!(*value, "true" | "[1]") && !matches!(*type_name, "bool" | "json" | "jsonb")
            {
                expected.push((id, "22P02".to_owned(), format!("{type_name} {value}")));
                continue;
            }
            let literal = literal.replace('\'', "''");
            let insert = format!("insert into expected (id, {name}) values ({id}, '{literal}')");
            if let Err(error) = postgresql.batch_execute(&insert).await {
                let sqlstate = error.code().context("no SQLSTATE")?.code().to_owned();
                expected.push((id, sqlstate, format!("{type_name} {value}")));
            }
        }
    }

    let mut writer = Writer::start(&stream.stack, stream.config().flat("public.got"))?;
    let events: Vec<Event<'_>> = events.iter().map(|event| (None, Some(event.as_str()))).collect();
    stream.send(&events).await.with_context(|| writer.output().tail())?;
    let letters = stream.dead_letters().await?;
    let found = |id: i64| letters.iter().find(|letter| letter.event.offset == id);
    let mut wrong: Vec<String> = Vec::new();
    for (id, sqlstate, what) in &expected {
        match found(*id) {
            None => wrong.push(format!("{what} is taken, and PostgreSQL says {sqlstate}")),
            // The class is PostgreSQL's; within it the writer's own parsers may differ.
            Some(letter) if !letter.sqlstate.starts_with(sqlstate.get(..2).unwrap_or_default()) => {
                wrong.push(format!("{what}: {letter:?}, and PostgreSQL says {sqlstate}"));
            }
            // PostgreSQL does not say which table a value is too long for.
            Some(letter) if letter.sqlstate == "22001" => {}
            Some(letter) => assert_eq!(letter.target.as_deref(), Some("public.got"), "{what}"),
        }
    }
    for letter in &letters {
        if !expected.iter().any(|(id, ..)| *id == letter.event.offset) {
            wrong.push(format!("PostgreSQL takes what is refused: {letter:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stream.rows("got").await?, stream.rows("expected").await?);
    writer.stop().await
}

/// What PostgreSQL would take, and the writer does not: what depends on the day or on a session's
/// settings, and what would be read as something else.
#[tokio::test]
async fn what_is_ambiguous_is_refused() -> Result<()> {
    let sql = "create table got (id int4 primary key, date_ date, timestamp_ timestamp, \
                   timestamptz_ timestamptz, bytea_ bytea); \
               select forebay.add_target('got')";
    let stream = Stream::create("session", sql).await?;
    let mut writer = Writer::start(&stream.stack, stream.config().flat("public.got"))?;
    let sent = stream
        .send(&[
            (None, Some(r#"{"id": 1, "timestamptz_": "2024-02-29T12:00:00"}"#)),
            (None, Some(r#"{"id": 2, "timestamptz_": "now"}"#)),
            (None, Some(r#"{"id": 3, "timestamp_": "today"}"#)),
            (None, Some(r#"{"id": 4, "date_": "01/02/2003"}"#)),
            (None, Some(r#"{"id": 5, "timestamptz_": "2024-02-29 12:00:00 Europe/Paris"}"#)),
            (None, Some(r#"{"id": 6, "bytea_": "abc"}"#)),
            (None, Some(r#"{"id": 7, "timestamptz_": "2024-02-29T23:59:60Z"}"#)),
            (None, Some(r#"{"id": 8}"#)),
        ])
        .await?;
    let expected = ["22007", "22007", "22007", "22007", "22007", "22P02", "22007"];
    let expected: Vec<_> = (0..).zip(expected.map(str::to_owned)).collect();
    assert_eq!(stream.refused().await?, expected);
    assert_eq!(sent.len(), 8);
    assert_eq!(stream.rows("got").await?, ["(8,,,,)"]);
    writer.stop().await
}

#[tokio::test]
async fn tombstones_delete_by_key_and_order_counts() -> Result<()> {
    let sql = "create table t (a int4, b text, value text, primary key (b, a)); \
               insert into t values (9, 'old', 'stays'), (8, 'old', 'goes'); \
               select forebay.add_target('t')";
    let stream = Stream::create("tombstones", sql).await?;
    let config = stream.config().flat("public.t");
    let row = r#"{"a": 1, "b": "x", "value": "v"}"#;
    let key = r#"{"a": 1, "b": "x"}"#;
    // All of it lies there before the writer starts: most likely one batch.
    let sent = stream
        .produce(&[
            (Some(r#"{"b": "old", "a": 8}"#), None),
            (None, Some(row)),
            (Some(key), None),
            (None, Some(r#"{"a": 1, "b": "x", "value": "again"}"#)),
            (None, Some(r#"{"a": 2, "b": "x", "value": "gone"}"#)),
            (Some(r#"{"a": 2, "b": "x", "value": "whatever"}"#), None),
            // There is none to delete.
            (Some(r#"{"a": 3, "b": "x"}"#), None),
            // Refused: no key, half a key, a null in it, no JSON, not the key's type.
            (None, None),
            (Some(r#"{"a": 9}"#), None),
            (Some(r#"{"a": 9, "b": null}"#), None),
            (Some("9"), None),
            (Some(r#"{"a": "nine", "b": "old"}"#), None),
        ])
        .await?;
    let mut writer = Writer::start(&stream.stack, config)?;
    stream.database.wait_until_all_merged(SOURCE, &stream.topic, &sent).await?;
    let expected = ["22004", "23502", "23502", "22P02", "22P02"];
    let expected: Vec<_> = (7..).zip(expected.map(str::to_owned)).collect();
    assert_eq!(stream.refused().await?, expected);
    assert_eq!(stream.rows("t").await?, ["(1,x,again)", "(9,old,stays)"]);
    // A key that another row has is the same to the database, and keeps its order over batches.
    stream.send(&[(Some(key), None)]).await?;
    stream.send(&[(Some(key), None), (None, Some(row))]).await?;
    assert_eq!(stream.rows("t").await?, ["(1,x,v)", "(9,old,stays)"]);
    writer.stop().await
}

/// Which columns an event names is part of what it says.
#[tokio::test]
async fn partial_events_keep_other_columns_and_take_defaults() -> Result<()> {
    let sql = "create table t ( \
                   id int4 primary key, \
                   a text default 'default a', \
                   b int4 not null default 7, \
                   c text not null, \
                   n int8 generated always as identity, \
                   twice int4 generated always as (b * 2) stored); \
               select forebay.add_target('t')";
    let stream = Stream::create("partial", sql).await?;
    let mut writer = Writer::start(&stream.stack, stream.config().flat("public.t"))?;
    let one_by_one = [
        r#"{"id": 1, "c": "c"}"#,
        r#"{"id": 2, "c": "c", "a": null, "b": 0}"#,
        r#"{"id": 1, "b": 1}"#,
        r#"{"id": 2, "a": "a", "c": "d"}"#,
        r#"{"id": 2}"#,
        // Refused: no value for c, unknown column, generated column, null in a key, in c.
        r#"{"id": 3}"#,
        r#"{"id": 1, "nope": 1}"#,
        r#"{"id": 1, "twice": 1}"#,
        r#"{"id": null, "c": "c"}"#,
        r#"{"id": 1, "c": null}"#,
        r#"{"a": "no key", "c": "c"}"#,
        r#"{"id": 1, "c": "x", "c": "y"}"#,
    ];
    for event in one_by_one {
        stream.send(&[(None, Some(event))]).await?;
    }
    let rows = ["(1,\"default a\",1,c,1,2)", "(2,a,0,d,2,0)"];
    assert_eq!(stream.rows("t").await?, rows);
    let states = ["23502", "42703", "42703", "23502", "23502", "23502", "22030"];
    let expected: Vec<_> = (5..).zip(states.map(str::to_owned)).collect();
    assert_eq!(stream.refused().await?, expected);
    let letters = stream.dead_letters().await?;
    assert!(letters.iter().all(|letter| letter.target.as_deref() == Some("public.t")));

    // The same at once, on an empty table: how it is cut makes no difference.
    let truncate = "truncate t restart identity; delete from forebay.dead_letter";
    stream.database.primary().batch_execute(truncate).await?;
    let gate = forebay_tests::gate::Gate::before_stage(&stream.database, "t").await?;
    let first = stream.produce(&[(None, Some(one_by_one[0]))]).await?;
    gate.wait_until_held().await?;
    let rest: Vec<Event<'_>> = one_by_one[1..].iter().map(|event| (None, Some(*event))).collect();
    let rest = stream.produce(&rest).await?;
    gate.open().await?;
    stream.database.wait_until_all_merged(SOURCE, &stream.topic, &rest).await?;
    // Identity values may have gaps.
    let sql = "select (id, a, b, c, twice)::text from t order by id";
    let found = stream.database.primary().query(sql, &[]).await?;
    let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, ["(1,\"default a\",1,c,2)", "(2,a,0,d,0)"]);
    let expected: Vec<_> = (first[0].offset + 5..).zip(states.map(str::to_owned)).collect();
    assert_eq!(stream.refused().await?, expected);
    writer.stop().await
}

/// One event, several tables; tables and columns with names that need quotes.
#[tokio::test]
async fn rows_name_their_tables() -> Result<()> {
    let sql = r#"create schema "Odd Schema";
        create table "Odd Schema"."Mixed ""Case""" (
            "Id" int4 primary key, "select" text, "quo""te" text, "ünï" text, "a.b" text);
        create table parent (id int4 primary key);
        create table child (id int4 primary key, parent int4 not null references parent);
        create table unregistered (id int4 primary key);
        select forebay.add_target('"Odd Schema"."Mixed ""Case"""'), forebay.add_target('child'),
            forebay.add_target('parent')"#;
    let stream = Stream::create("rows", sql).await?;
    let mut writer = Writer::start(&stream.stack, stream.config().rows())?;
    let odd = r#"{"rows": [{"table": "Odd Schema.Mixed \"Case\"", "row":
        {"Id": 1, "select": "s", "quo\"te": "q", "ünï": "u", "a.b": "ab"}}]}"#;
    let events = [
        odd,
        // The child comes before its parent, in one event.
        r#"{"rows": [{"table": "public.child", "row": {"id": 1, "parent": 1}},
                     {"table": "public.parent", "op": "upsert", "row": {"id": 1}}]}"#,
        r#"{"rows": []}"#,
        // An event is whole: its good rows go with the bad one.
        r#"{"rows": [{"table": "public.parent", "row": {"id": 2}},
                     {"table": "public.child", "row": {"id": 2, "parent": 99}}]}"#,
        r#"{"rows": [{"table": "public.parent", "row": {"id": 3}},
                     {"table": "public.unregistered", "row": {"id": 3}}]}"#,
        r#"{"rows": [{"table": "public.parent", "row": {"id": 4}},
                     {"table": "public.parent", "row": [4]}]}"#,
        r#"{"rows": [{"table": "parent", "row": {"id": 5}}]}"#,
        r#"{"rows": [{"table": "public.parent", "op": "replace", "row": {"id": 6}}]}"#,
        r#"{"rows": [{"table": "public.parent", "op": "delete", "row": {"id": 1}}]}"#,
        r#"{"rows": [{"table": "forebay.butler_ref", "row": {"run": "x"}}]}"#,
        r#"{"rows": [{"table": "public.parent", "row": {"id": 7}}], "more": 1}"#,
        // Both go in one event, in either order of tables.
        r#"{"rows": [{"table": "public.parent", "op": "delete", "row": {"id": 1}},
                     {"table": "public.child", "op": "delete", "row": {"id": 1}}]}"#,
        r#"{"rows": [{"table": "public.parent", "row": {"id": 8}},
                     {"table": "public.parent", "op": "delete", "row": {"id": 8}},
                     {"table": "public.parent", "row": {"id": 9}}]}"#,
    ];
    let events = events.map(|event| (None, Some(event)));
    stream.send(&events).await?;
    let odd_rows = stream.rows(r#""Odd Schema"."Mixed ""Case""""#).await?;
    assert_eq!(odd_rows, ["(1,s,q,u,ab)"]);
    assert_eq!(stream.rows("parent").await?, ["(9)"]);
    assert!(stream.rows("child").await?.is_empty());
    let letters = stream.dead_letters().await?;
    let found: Vec<_> = letters
        .iter()
        .map(|letter| {
            (letter.event.offset, letter.sqlstate.as_str(), letter.target.as_deref().unwrap_or(""))
        })
        .collect();
    let expected = [
        (3, "23503", "public.child"),
        (4, "42P01", "public.unregistered"),
        (5, "22P02", "public.parent"),
        (6, "42P01", "parent"),
        (7, "22P02", ""),
        (8, "23503", "public.child"),
        (9, "0A000", "forebay.butler_ref"),
        (10, "22P02", ""),
    ];
    assert_eq!(found, expected, "{letters:#?}");
    assert_eq!(letters[0].constraint.as_deref(), Some("child_parent_fkey"));
    writer.stop().await?;

    // `flat` spells a table's name in the same way.
    let config = stream.config().flat("Odd Schema.Mixed \"Case\"");
    let mut writer = Writer::start(&stream.stack, config)?;
    stream.send(&[(None, Some(r#"{"Id": 2, "a.b": "flat"}"#))]).await?;
    let odd_rows = stream.rows(r#""Odd Schema"."Mixed ""Case""""#).await?;
    assert_eq!(odd_rows, ["(1,s,q,u,ab)", "(2,,,,flat)"]);
    writer.stop().await
}

/// Each policy, with one event per batch and with all in one batch.
#[tokio::test]
async fn policies_say_what_becomes_of_a_row_that_is_there() -> Result<()> {
    let tables = ["updated", "ignored", "same", "same_a", "appended"];
    let sql = "create table updated (id int4 primary key, a int4, b text default 'd'); \
               create table ignored (like updated including all); \
               create table same (like updated including all); \
               create table same_a (like updated including all); \
               create table appended (id int4, a int4, b text default 'd'); \
               select forebay.add_target('updated'), \
                   forebay.add_target('ignored', on_conflict => 'ignore'), \
                   forebay.add_target('same', on_conflict => 'identical'), \
                   forebay.add_target('same_a', on_conflict => 'identical', compare => '{a}'), \
                   forebay.add_target('appended', on_conflict => 'append')";
    let stream = Stream::create("policies", sql).await?;
    let mut writer = Writer::start(&stream.stack, stream.config().rows())?;
    let versions = [
        r#"{"id": 1, "a": 1, "b": "x"}"#,
        r#"{"id": 1, "a": 1, "b": "x"}"#,
        r#"{"id": 1, "a": 1, "b": "y"}"#,
        r#"{"id": 1, "a": 2}"#,
        r#"{"id": 1, "a": null, "b": null}"#,
        r#"{"id": 2}"#,
        r#"{"id": 2, "a": null}"#,
    ];
    let event = |table: &str, row: &str| {
        format!(r#"{{"rows": [{{"table": "public.{table}", "row": {row}}}]}}"#)
    };
    let events: Vec<String> = tables
        .iter()
        .flat_map(|table| versions.iter().map(move |row| event(table, row)))
        .chain(
            [r#"{"rows": [{"table": "public.appended", "op": "delete", "row": {}}]}"#.to_owned()],
        )
        .collect();
    let events: Vec<Event<'_>> = events.iter().map(|event| (None, Some(event.as_str()))).collect();

    // By table: what stays, and which of the versions are refused.
    let expected_rows: [&[&str]; 5] = [
        &["(1,,)", "(2,,d)"],
        &["(1,1,x)", "(2,,d)"],
        &["(1,1,x)", "(2,,d)"],
        &["(1,1,x)", "(2,,d)"],
        &["(1,,)", "(1,1,x)", "(1,1,x)", "(1,1,y)", "(1,2,d)", "(2,,d)", "(2,,d)"],
    ];
    let per_table = i64::try_from(versions.len())?;
    let refused = [(2, 2), (2, 3), (2, 4), (3, 3), (3, 4)]
        .map(|(table, version)| (table * per_table + version, "23505"));
    let refused = refused.into_iter().chain([(5 * per_table, "0A000")]);

    for at_once in [false, true] {
        let before = stream.database.next_offset(SOURCE, &stream.topic, 0).await?.unwrap_or(0);
        if at_once {
            let gate = forebay_tests::gate::Gate::before_stage(&stream.database, "updated").await?;
            let first = event("updated", r#"{"id": 3}"#);
            stream.produce(&[(None, Some(&first))]).await?;
            gate.wait_until_held().await?;
            let sent = stream.produce(&events).await?;
            gate.open().await?;
            stream.database.wait_until_all_merged(SOURCE, &stream.topic, &sent).await?;
            stream.database.primary().batch_execute("delete from updated where id = 3").await?;
        } else {
            for event in &events {
                stream.send(&[*event]).await?;
            }
        }
        for (table, expected) in tables.iter().zip(expected_rows) {
            assert_eq!(stream.rows(table).await?, expected, "{table}, at once: {at_once}");
        }
        let base = before + i64::from(at_once);
        let expected: Vec<_> =
            refused.clone().map(|(offset, state)| (base + offset, state.to_owned())).collect();
        assert_eq!(stream.refused().await?, expected, "at once: {at_once}");
        for letter in stream.dead_letters().await?.iter().take(5) {
            let target = letter.target.as_deref().unwrap_or_default();
            assert!(target.starts_with("public.same"), "{letter:?}");
        }
        let sql = "truncate updated, ignored, same, same_a, appended; \
                   delete from forebay.dead_letter";
        stream.database.primary().batch_execute(sql).await?;
    }
    writer.stop().await
}

/// Notes what the writer says of the order of the rows that it has staged.
const NOTING: &str = "
    create table said (ordered regclass[]);
    alter function forebay.merge_fenced(int4, text, forebay.advance[], forebay.staged[], int4[], text,
        regclass[]) rename to merge_behind;
    create function forebay.merge_fenced(slot int4, source text, advances forebay.advance[],
        staged forebay.staged[], rejected int4[], suspected text, ordered regclass[]) returns jsonb
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
        insert into public.said values (ordered);
        return forebay.merge_behind(slot, source, advances, staged, rejected, suspected, ordered);
    end $$";

/// Only where the writer's order of keys is the database's.
#[tokio::test]
async fn rows_are_said_to_be_ordered_where_they_are() -> Result<()> {
    let sql = format!(
        "create table by_number (id int4, at date, primary key (at, id));
         create table by_name (name text primary key);
         create table without (line text);
         select forebay.add_target('by_number'), forebay.add_target('by_name'),
             forebay.add_target('without', on_conflict => 'append');
         {NOTING}"
    );
    let stream = Stream::create("ordered", &sql).await?;
    let mut writer = Writer::start(&stream.stack, stream.config().rows())?;
    let event = r#"{"rows": [
        {"table": "public.by_number", "row": {"id": 1, "at": "2025-01-01"}},
        {"table": "public.by_name", "row": {"name": "a"}},
        {"table": "public.without", "row": {"line": "b"}}]}"#;
    stream.send(&[(None, Some(event))]).await?;
    writer.stop().await?;
    let said = "select ordered::text from said";
    let said: String = stream.database.primary().query_one(said, &[]).await?.get(0);
    assert_eq!(said, "{by_number}");
    Ok(())
}
