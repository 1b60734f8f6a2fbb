//! Tables that misbehave as they are told.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Message, Producer, Stack, Topic, Writer, WriterConfig, dead_letter::DeadLetter,
    producer::Delivery, wait,
};

/// A trigger that raises what stands in `fault` for a table: for one row, or for all.
const FAULTS: &str = "\
    create table fault (relation name primary key, sqlstate text not null, id int4);
    create function misbehave() returns trigger language plpgsql as $$
    declare code text := (select f.sqlstate from public.fault f
        where f.relation = tg_table_name and coalesce(f.id, new.id) = new.id);
    begin
        if code is not null then
            raise exception 'told to' using errcode = code;
        end if;
        return new;
    end$$";

/// The events of a case, with ids from 1 on.
pub const EVENTS: i32 = 6;

/// The event that a fault is for, if it is for one.
pub const CULPRIT: i32 = 3;

/// More than this and the writer would look for a culprit, if it were the kind of error for that.
pub const ABORTS: usize = 6;

/// A database with tables of their own for each case.
pub struct Scene {
    pub stack: Stack,
    pub database: Database,
}

/// One table, filled from one topic by one writer.
pub struct Case<'a> {
    scene: &'a Scene,
    pub name: String,
    pub topic: Topic,
    sent: Vec<Delivery>,
    pub writer: Writer,
}

impl Scene {
    pub async fn create(prefix: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        database.primary().batch_execute(FAULTS).await?;
        Ok(Self { stack, database })
    }

    /// Makes the table `name`, that raises `sqlstate` for the row with this id, or for all, and
    /// starts a writer on events for it.
    pub async fn raise(&self, name: &str, sqlstate: &str, id: Option<i32>) -> Result<Case<'_>> {
        let sql = format!(
            "create table {name} (id int4 primary key);
             create trigger misbehave before insert on {name}
                 for each row execute function misbehave()"
        );
        let client = self.database.primary();
        client.batch_execute(&sql).await.context("make the table")?;
        let fault = "insert into fault values ($1::text::name, $2, $3)";
        client.execute(fault, &[&name, &sqlstate, &id]).await?;
        self.register(name).await?;
        self.start(name, |id| format!(r#"{{"id": {id}}}"#)).await
    }

    /// Makes the table `name` a target.
    pub async fn register(&self, name: &str) -> Result<()> {
        let sql = format!("select forebay.add_target('{name}')");
        self.database.primary().batch_execute(&sql).await.context("register the table")
    }

    /// Starts a writer on events for the table `name`.
    pub async fn start(&self, name: &str, event: impl Fn(i32) -> String) -> Result<Case<'_>> {
        let events: Vec<String> = (1..=EVENTS).map(event).collect();
        let topic = Topic::create(self.stack.kafka(), name, 1).await?;
        let messages = events
            .iter()
            .map(|event| Message { payload: Some(event.as_bytes()), ..Message::default() });
        let sent = Producer::new(self.stack.kafka())?.send_all(&topic, messages).await?;
        let config = WriterConfig::new(&self.stack, &self.database, name, &topic)
            .flat(&format!("public.{name}"));
        let writer = Writer::start(&self.stack, config)?;
        Ok(Case { scene: self, name: name.to_owned(), topic, sent, writer })
    }
}

impl Case<'_> {
    /// Waits until the writer has given up a batch so often because of this SQLSTATE.
    pub async fn wait_for_aborts(&self, sqlstate: &str, count: usize) -> Result<()> {
        let code = format!("(SQLSTATE {sqlstate})");
        let what = format!("{}: {count} aborts with {sqlstate}", self.name);
        let seen = wait::until(what, || {
            let lines = self.writer.output().lines();
            let aborts = lines.iter().filter(|line| line.contains(&code) && line.contains(AGAIN));
            std::future::ready(Ok((aborts.count() >= count).then_some(())))
        });
        seen.await.with_context(|| self.writer.output().tail())
    }

    /// Nothing from the culprit on is merged, and nothing is dead.
    pub async fn check_held_up(&self) -> Result<()> {
        let ids = self.ids().await?;
        ensure!(ids.iter().all(|id| *id < CULPRIT), "{}: merged {ids:?}", self.name);
        let dead = self.dead_letters().await?;
        ensure!(dead.is_empty(), "{}: {dead:?}", self.name);
        Ok(())
    }

    /// Takes the fault away.
    pub async fn heal(&self) -> Result<()> {
        let sql = "delete from fault where relation = $1::text::name";
        self.scene.database.primary().execute(sql, &[&self.name]).await.map(drop)?;
        Ok(())
    }

    pub async fn wait_until_merged(&self) -> Result<()> {
        let merged =
            self.scene.database.wait_until_all_merged(&self.name, &self.topic, &self.sent).await;
        merged.with_context(|| format!("{}: {}", self.name, self.writer.output().tail()))
    }

    /// Every event is merged once, and none is dead.
    pub async fn check_whole(&self) -> Result<()> {
        self.wait_until_merged().await?;
        let ids = self.ids().await?;
        ensure!(ids == (1..=EVENTS).collect::<Vec<_>>(), "{}: merged {ids:?}", self.name);
        let dead = self.dead_letters().await?;
        ensure!(dead.is_empty(), "{}: {dead:?}", self.name);
        Ok(())
    }

    /// The culprit alone is dead, by this SQLSTATE, and all others are merged.
    pub async fn check_dead(&self, sqlstate: &str) -> Result<()> {
        self.wait_until_merged().await?;
        let dead = self.dead_letters().await?;
        let dead: Vec<_> =
            dead.iter().map(|letter| (letter.event.offset, letter.sqlstate.as_str())).collect();
        assert_eq!(dead, [(i64::from(CULPRIT - 1), sqlstate)], "{}", self.name);
        let others: Vec<i32> = (1..=EVENTS).filter(|id| *id != CULPRIT).collect();
        assert_eq!(self.ids().await?, others, "{}", self.name);
        Ok(())
    }

    async fn ids(&self) -> Result<Vec<i32>> {
        let sql = format!("select id from {} where id > 0 order by id", self.name);
        let rows = self.scene.database.primary().query(&sql, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.scene.database.dead_letters(&self.name).await
    }
}

/// What the writer says when it is going to try a batch, or a claim, anew.
const AGAIN: &str = "again in";
