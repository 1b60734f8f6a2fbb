//! The checklist's cases: made and applied by the official client, and delivered to a writer.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Gate, Message, Producer, Stack, Topic, Writer, WriterConfig, butler_client,
    dead_letter::DeadLetter, endpoint::SUPERUSER, process, stack::unique,
};
use rand::{Rng, rngs::StdRng};
use serde::Deserialize;

use crate::expectation;

/// The source's name.
const SOURCE: &str = "checklist";

/// A repository with cases, as `checklist.py` makes it.
#[derive(Debug, Deserialize)]
pub struct Repository {
    /// The database as it is before the cases' events.
    template: String,
    /// The database in which the client has applied them.
    once: String,
    /// The database in which the client has applied each twice, one after the other.
    twice: String,
    /// The datastore's root directory.
    root: String,
    /// An event that changes nothing.
    idle: String,
    /// The cases.
    pub cases: Vec<Case>,
}

/// A case.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Its name, which is also in its instrument's, its runs' and its other names.
    pub name: String,
    /// What all its UUIDs begin with.
    pub uuid_prefix: String,
    /// Its events' payloads.
    events: Vec<String>,
    /// What the client has made of each: nothing, or the class of an exception.
    pub outcomes: Vec<String>,
}

/// How a stream is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All in one batch, but for what the writer has not read yet when that begins.
    OneBatch,
    /// In pieces, each of which is merged before the next one comes.
    Cut,
    /// Every event twice, one after the other.
    Twice,
}

/// What a writer has made of the cases.
pub struct Delivered<'a> {
    /// How they were delivered.
    pub delivery: Delivery,
    /// The cases.
    pub repository: &'a Repository,
    /// Where they were merged.
    database: Database,
    /// The stream: index of the case, index of its event, and the dead letter that it became.
    pub events: Vec<(usize, usize, Option<DeadLetter>)>,
}

impl Repository {
    /// Has the client make and fill all repositories.
    pub async fn make_all(stack: &Stack) -> Result<Vec<Self>> {
        let mut program = butler_client::program("checklist.py")?;
        let dsn = stack.primary().dsn("postgres", SUPERUSER);
        program.args([dsn, unique("checklist")]);
        let run = || process::run("checklist.py", program);
        let said = tokio::task::spawn_blocking(run).await??;
        let repositories = said.lines().map(serde_json::from_str).collect::<Result<Vec<Self>, _>>();
        repositories.context("read what checklist.py says")
    }

    /// Delivers the cases to a writer, mixed at random.
    pub async fn deliver(
        &self,
        stack: &Stack,
        delivery: Delivery,
        mut random: StdRng,
    ) -> Result<Delivered<'_>> {
        let database = Database::create_copy(stack, &self.template).await?;
        let register = "select forebay.butler_add_targets()";
        database.primary().batch_execute(register).await.context("register the tables")?;
        let topic = Topic::create(stack.kafka(), "checklist", 1).await?;
        let config = WriterConfig::new(stack, &database, SOURCE, &topic)
            .butler("public")
            .set("format.datastore_root", self.root.as_str())
            .set("format.convertible_storage_classes", vec![expectation::CONVERTIBLE])
            .set("format.storage_classes", vec![expectation::ADDED_CLASS])
            // As many are refused as are not, on purpose.
            .set("rejections.max_share", 1.0);
        let stream = self.mix(delivery, &mut random);
        let payload = |(case, event): &(usize, usize)| self.cases[*case].events[*event].as_bytes();
        let message = |event| Message { payload: Some(payload(event)), ..Message::default() };
        let messages: Vec<_> = stream.iter().map(message).collect();

        // What comes while the gate holds up a batch is the next one.
        let producer = Producer::new(stack.kafka())?;
        let gate = Gate::before_stage(&database, "public.detector").await?;
        let mut writer = Writer::start(stack, config)?;
        producer.send(&topic, 0, None, Some(self.idle.as_bytes())).await?;
        gate.wait_until_held().await.with_context(|| writer.output().tail())?;
        let mut gate = Some(gate);
        let mut sent = Vec::new();
        for piece in pieces(&messages, delivery, &mut random) {
            let piece = producer.send_all(&topic, piece.iter().copied()).await?;
            if let Some(gate) = gate.take() {
                gate.open().await?;
            }
            let merged = database.wait_until_all_merged(SOURCE, &topic, &piece).await;
            merged.with_context(|| writer.output().tail())?;
            sent.extend(piece);
        }
        let mut dead = database.dead_letters(SOURCE).await?;
        let events = stream.into_iter().zip(sent).map(|((case, event), place)| {
            let letter = dead.iter().position(|letter| letter.event == place);
            (case, event, letter.map(|letter| dead.swap_remove(letter)))
        });
        let events = events.collect();
        ensure!(dead.is_empty(), "other dead letters: {dead:?}");
        writer.stop().await?;
        Ok(Delivered { delivery, repository: self, database, events })
    }

    /// The events of all cases: those of one case in their order, and otherwise at random.
    fn mix(&self, delivery: Delivery, random: &mut StdRng) -> Vec<(usize, usize)> {
        let times = if delivery == Delivery::Twice { 2 } else { 1 };
        let streams = self.cases.iter().enumerate().map(|(case, events)| {
            let events = (0..events.events.len()).flat_map(|event| vec![(case, event); times]);
            events.collect::<Vec<_>>().into_iter()
        });
        let mut streams: Vec<_> = streams.collect();
        let mut mixed = Vec::new();
        while !streams.is_empty() {
            let next = random.random_range(0..streams.len());
            match streams[next].next() {
                Some(event) => mixed.push(event),
                None => drop(streams.swap_remove(next)),
            }
        }
        mixed
    }
}

/// What comes at a time.
fn pieces<'a, 'm>(
    mut rest: &'a [Message<'m>],
    delivery: Delivery,
    random: &mut StdRng,
) -> Vec<&'a [Message<'m>]> {
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = match delivery {
            Delivery::Cut => random.random_range(1..=rest.len().min(40)),
            Delivery::OneBatch | Delivery::Twice => rest.len(),
        };
        let (piece, others) = rest.split_at(length);
        pieces.push(piece);
        rest = others;
    }
    pieces
}

impl Delivered<'_> {
    /// The connection strings of the client's database, to which the same was delivered, and the
    /// writer's.
    pub fn pair(&self) -> [String; 2] {
        let of = |name: &str| self.database.primary_endpoint().dsn(name, SUPERUSER);
        let client = match self.delivery {
            Delivery::OneBatch | Delivery::Cut => &self.repository.once,
            Delivery::Twice => &self.repository.twice,
        };
        [of(client), of(self.database.name())]
    }
}
