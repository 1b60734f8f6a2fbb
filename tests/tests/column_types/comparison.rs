//! Values through Kafka and the writer, and the same literals by `insert`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Database, Message, Producer, Stack, Topic, Writer, WriterConfig};

use super::kind::{Case, Kind};

const SOURCE: &str = "types";

/// Two tables per type, `got_<n>` and `expected_<n>`, filled each in its way.
pub struct Comparison {
    database: Database,
    writer: Writer,
    kinds: Vec<Kind>,
    /// SQLSTATE by place of the type and of the value.
    expected: BTreeMap<(usize, usize), String>,
    rejected: BTreeMap<(usize, usize), String>,
}

impl Comparison {
    /// Sends every value of every type as an event of its own, a null for each type first, and
    /// waits until all are merged. `columns` stands behind the column of each type.
    pub async fn run(prefix: &str, schema: &str, columns: &str, kinds: Vec<Kind>) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        database.primary().batch_execute(schema).await.context("make the types")?;
        for (number, Kind { sql, .. }) in kinds.iter().enumerate() {
            let tables = format!(
                "create table got_{number} (id int4 primary key, v {sql}{columns}); \
                 create table expected_{number} (like got_{number}); \
                 select forebay.add_target('got_{number}')"
            );
            database.primary().batch_execute(&tables).await.with_context(|| (*sql).to_owned())?;
        }
        let expected = insert(&database, &kinds).await?;
        let (places, events): (Vec<_>, Vec<_>) = events(&kinds).unzip();
        let topic = Topic::create(stack.kafka(), prefix, 1).await?;
        let messages = events
            .iter()
            .map(|event| Message { payload: Some(event.as_bytes()), ..Message::default() });
        let sent = Producer::new(stack.kafka())?.send_all(&topic, messages).await?;
        let config = WriterConfig::new(&stack, &database, SOURCE, &topic)
            .rows()
            .set("rejections.max_share", 1.0);
        let mut writer = Writer::start(&stack, config)?;
        let merged = database.wait_until_all_merged(SOURCE, &topic, &sent).await;
        merged.with_context(|| writer.output().tail())?;
        writer.stop().await?;
        let letters = database.dead_letters(SOURCE).await?;
        let rejected = letters.into_iter().map(|letter| {
            let place = usize::try_from(letter.event.offset)?;
            Ok((places[place], letter.sqlstate))
        });
        let rejected = rejected.collect::<Result<_>>()?;
        Ok(Self { database, writer, kinds, expected, rejected })
    }

    /// The same rows stand in both tables, and the same values were refused, with one SQLSTATE.
    pub async fn check_equal(&self) -> Result<()> {
        let mut wrong = self.differing_rows().await?;
        for place in self.expected.keys().chain(self.rejected.keys()) {
            let (found, expected) = (self.rejected.get(place), self.expected.get(place));
            if found != expected {
                wrong.push(format!("{}: {found:?}, insert gives {expected:?}", self.name(*place)));
            }
        }
        wrong.sort();
        wrong.dedup();
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    }

    /// What is stored is what `insert` stores; but more may have been refused.
    pub async fn check_nothing_else_is_stored(&self) -> Result<()> {
        let wrong = self.differing_rows().await?;
        let wrong: Vec<_> = wrong.into_iter().filter(|row| !row.ends_with("not stored")).collect();
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    }

    /// No COPY failed: all that was refused, the writer refused, or the merge.
    pub fn check_nothing_was_isolated(&self) -> Result<()> {
        let log = std::fs::read_to_string(self.writer.log_file())?;
        let line = log.lines().find(|line| line.contains("staging the batch again"));
        ensure!(line.is_none(), "{line:?}");
        Ok(())
    }

    async fn differing_rows(&self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for kind in 0..self.kinds.len() {
            let sql = format!(
                "select coalesce(g.id, e.id), g.v::text, e.v::text, g.id is null, e.id is null \
                 from got_{kind} g full join expected_{kind} e on g.id = e.id \
                 where g.id is null or e.id is null \
                     or row(g.v)::record operator(pg_catalog.*<>) row(e.v)::record"
            );
            for row in self.database.primary().query(&sql, &[]).await? {
                let (id, got, expected): (i32, Option<String>, Option<String>) =
                    (row.get(0), row.get(1), row.get(2));
                // 0 is the null.
                let name = match usize::try_from(id)?.checked_sub(1) {
                    Some(case) => self.name((kind, case)),
                    None => format!("{} null", self.kinds[kind].sql),
                };
                wrong.push(match (row.get(3), row.get(4)) {
                    (true, _) => format!("{name}: insert gives {expected:?}, not stored"),
                    (_, true) => format!("{name}: {got:?} is stored, insert refuses it"),
                    _ => format!("{name}: {got:?} is stored, insert gives {expected:?}"),
                });
            }
        }
        Ok(wrong)
    }

    fn name(&self, (kind, case): (usize, usize)) -> String {
        let kind = &self.kinds[kind];
        format!("{} {:.200}", kind.sql, kind.cases[case].json)
    }
}

/// Inserts all literals; the SQLSTATEs of those that were refused.
async fn insert(database: &Database, kinds: &[Kind]) -> Result<BTreeMap<(usize, usize), String>> {
    let client = database.primary();
    let mut refused = BTreeMap::new();
    for (kind, Kind { sql, cases }) in kinds.iter().enumerate() {
        client.batch_execute(&format!("insert into expected_{kind} (id) values (0)")).await?;
        for (case, Case { literal, .. }) in cases.iter().enumerate() {
            let Some(literal) = literal else {
                refused.insert((kind, case), "22P02".to_owned());
                continue;
            };
            if literal.contains('\0') {
                refused.insert((kind, case), "22021".to_owned());
                continue;
            }
            let (id, quoted) = (case + 1, literal.replace('\'', "''"));
            let insert = format!("insert into expected_{kind} (id, v) values ({id}, '{quoted}')");
            if let Err(error) = client.batch_execute(&insert).await {
                let sqlstate = error.code().with_context(|| format!("{sql}: {error}"))?;
                refused.insert((kind, case), sqlstate.code().to_owned());
            }
        }
    }
    Ok(refused)
}

/// Places and payloads, those of nulls with a place that no value has.
fn events(kinds: &[Kind]) -> impl Iterator<Item = ((usize, usize), String)> {
    let event = |kind: usize, id: usize, json: &str| {
        format!(
            r#"{{"rows": [{{"table": "public.got_{kind}", "row": {{"id": {id}, "v": {json}}}}}]}}"#
        )
    };
    kinds.iter().enumerate().flat_map(move |(kind, Kind { cases, .. })| {
        let null = ((kind, usize::MAX), event(kind, 0, "null"));
        let cases = cases.iter().enumerate();
        let cases =
            cases.map(move |(case, Case { json, .. })| ((kind, case), event(kind, case + 1, json)));
        std::iter::once(null).chain(cases)
    })
}
