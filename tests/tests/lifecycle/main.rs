//! The extension over time: made, upgraded, dumped and restored, dropped.
#![forbid(unsafe_code)]

mod drop;
mod dump;
mod upgrade;

use anyhow::Result;
use forebay_tests::{Database, Message, Producer, Stack, Topic, Writer, WriterConfig};
use tokio_postgres::Client;

/// The source's name.
const SOURCE: &str = "lifecycle";

/// A database in use: two targets, rows, progress and a dead letter.
struct InUse {
    stack: Stack,
    database: Database,
    topic: Topic,
    producer: Producer,
}

impl InUse {
    async fn create(prefix: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        let sql = "create schema \"Mixed case\"; \
            create table \"Mixed case\".\"Table\" (id int4 primary key, note text); \
            create table logged (line text); \
            select forebay.add_target('logged', on_conflict => 'append'); \
            select forebay.add_target('\"Mixed case\".\"Table\"', on_conflict => 'identical', \
                                      compare => '{note}')";
        database.primary().batch_execute(sql).await?;
        let topic = Topic::create(stack.kafka(), prefix, 1).await?;
        let producer = Producer::new(stack.kafka())?;
        let in_use = Self { stack, database, topic, producer };
        in_use.merge(&in_use.database, &["1", "2", "\"x\""]).await?;
        Ok(in_use)
    }

    /// Sends events with these ids, and lets a writer merge them into this database.
    async fn merge(&self, database: &Database, ids: &[&str]) -> Result<()> {
        let row = |id: &&str| {
            format!(
                r#"{{"rows": [{{"table": "Mixed case.Table", "row": {{"id": {id}, "note": "a"}}}},
                              {{"table": "public.logged", "row": {{"line": "{{}}"}}}}]}}"#
            )
        };
        let rows: Vec<String> = ids.iter().map(row).collect();
        let messages =
            rows.iter().map(|row| Message { payload: Some(row.as_bytes()), ..Message::default() });
        let sent = self.producer.send_all(&self.topic, messages).await?;
        let config = WriterConfig::new(&self.stack, database, SOURCE, &self.topic)
            .rows()
            .set("rejections.max_share", 1.0);
        let mut writer = Writer::start(&self.stack, config)?;
        database.wait_until_all_merged(SOURCE, &self.topic, &sent).await?;
        writer.stop().await
    }
}

/// All that must outlive an upgrade or a restore: targets, progress, dead letters, and the rows.
async fn kept(client: &Client) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    for sql in [
        "select t::text from forebay.target t where on_conflict <> 'resolve' order by id",
        "select p::text from forebay.progress p order by topic, partition",
        "select d::text from forebay.dead_letter d order by id",
        "select t::text from \"Mixed case\".\"Table\" t order by id",
        "select count(*)::text from logged",
    ] {
        kept.extend(client.query(sql, &[]).await?.iter().map(|row| row.get::<_, String>(0)));
    }
    Ok(kept)
}

/// The tables of the schema for staging.
async fn staging_tables(client: &Client) -> Result<i64> {
    let sql = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where n.nspname = 'forebay_staging' and c.relkind = 'r'";
    Ok(client.query_one(sql, &[]).await?.get(0))
}
