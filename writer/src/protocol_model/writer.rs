//! A writer of the model: its steps are the model's, its decisions the writer's own code.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::database::{Database, Reply, SessionId};
use super::{Key, Log};
use crate::claim::Claim;
use crate::event_batch::BatchPosition;
use crate::failure::Failure;
use crate::known_progress::KnownProgress;
use crate::merge::Advances;
use crate::ownership::allocation::{Owner, Situation, allocate};
use crate::position::Offset;
use crate::retry::{Place, Verdict};
use crate::server::{Server, ServerHistory};
use crate::session::DatabaseError;

/// How many events of a partition a batch takes at most.
const MOST: usize = 3;

/// A process with one worker.
#[derive(Debug, Default)]
pub struct Writer {
    pub number: usize,
    /// SIGSTOP: it does nothing, and its sessions stay.
    pub is_stopped: bool,
    wanted: BTreeSet<Key>,
    known: KnownProgress,
    servers: ServerHistory,
    /// The highest timeline that it was on, seen from outside.
    highest: i32,
    session: Option<SessionId>,
    owned: BTreeSet<Key>,
    claim: Claim,
    /// By partition: where reading goes on.
    expected: BTreeMap<Key, Offset>,
    batch: Option<Batch>,
    is_merged: bool,
}

#[derive(Debug, Clone)]
struct Batch {
    positions: Vec<BatchPosition>,
    events: Vec<(Key, i64)>,
}

impl Writer {
    pub fn new(number: usize) -> Self {
        Self { number, ..Self::default() }
    }

    /// Its session, if it thinks that it has one.
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Whether it takes a server for one that was left behind.
    pub fn refuses(&mut self, server: Server) -> bool {
        self.servers.observe(server).is_err()
    }

    /// One step, of those that it could take now.
    pub fn step(&mut self, random: &mut Rng, database: &mut Database, log: &Log, world: &World) {
        if self.is_stopped {
            return;
        }
        let Some(session) = self.session else {
            self.decide(random, database, log, world);
            return self.begin(random, database, world);
        };
        match random.u8(..6) {
            0 => self.look(database, session),
            1 => {
                self.decide(random, database, log, world);
                if self.owned != self.wanted && self.batch.is_none() {
                    let given_back = self.owned.difference(&self.wanted).cloned().collect();
                    database.disown(session, &given_back);
                    self.claim_on(random, database, world, session);
                }
            }
            _ if self.batch.is_none() => self.read(random, log),
            _ if self.is_merged => self.commit(random, database, session),
            _ => self.merge(database, session),
        }
    }

    /// The steward's look.
    fn decide(&mut self, random: &mut Rng, database: &Database, log: &Log, world: &World) {
        let alive = database.alive();
        let session = self.session.filter(|session| database.is_alive(*session));
        let server = session
            .map(|session| database.server_of(session))
            .or_else(|| random.choice(alive.iter().copied()));
        let Some(server) = server else { return };
        let owner = |key: &Key| match database.owner(server, key) {
            Some(owner) if owner == self.number => Owner::This,
            Some(owner) if !world.stale.contains(&owner) => Owner::Other,
            _ => Owner::Nobody,
        };
        let partitions = log.keys().map(|key| (key.clone(), owner(key))).collect();
        let situation = Situation {
            partitions: &partitions,
            writers: world.live.len(),
            rank: world.live.iter().position(|other| *other == self.number),
        };
        let decided = allocate(std::slice::from_ref(&self.wanted), situation);
        self.wanted = decided.into_iter().next().unwrap_or_default();
    }

    fn begin(&mut self, random: &mut Rng, database: &mut Database, world: &World) {
        if self.wanted.is_empty() {
            return;
        }
        let Some(server) = random.choice(database.alive()) else { return };
        if self.servers.observe(database.identity(server)).is_ok() {
            self.highest = self.highest.max(database.identity(server).timeline);
            let session = database.connect(random, server, self.number);
            self.claim_on(random, database, world, session);
        }
    }

    fn claim_on(
        &mut self,
        random: &mut Rng,
        database: &mut Database,
        world: &World,
        session: SessionId,
    ) {
        self.session = Some(session);
        if !database.is_alive(session) {
            return self.fail(&cut(Place::Own));
        }
        self.owned = database.own(random, session, &self.wanted, &world.stale);
        self.claim = Claim::at(database.identity(database.server_of(session)));
        for (key, claimed) in database.claim(random, session, &self.owned) {
            self.known.claimed(&key, claimed.next_offset);
            self.expected.insert(key.clone(), claimed.next_offset);
            self.claim.insert(key, claimed);
        }
    }

    fn read(&mut self, random: &mut Rng, log: &Log) {
        let mut batch = Batch { positions: Vec::new(), events: Vec::new() };
        for (key, _) in self.claim.partitions() {
            let from = self.expected[key];
            let count = random.usize(..=MOST);
            let found: Vec<i64> =
                log[key].iter().copied().filter(|offset| *offset >= from.0).take(count).collect();
            let (Some(first), Some(last)) = (found.first(), found.last()) else { continue };
            batch.positions.push(BatchPosition {
                topic: key.0.clone(),
                partition: key.1,
                first_offset: Offset(*first),
                next_offset: Offset(*last).next(),
                last: None,
            });
            batch.events.extend(found.iter().map(|offset| (key.clone(), *offset)));
        }
        for position in &batch.positions {
            let key = (position.topic.clone(), position.partition);
            self.expected.insert(key, position.next_offset);
        }
        self.batch = (!batch.positions.is_empty()).then_some(batch);
    }

    fn merge(&mut self, database: &mut Database, session: SessionId) {
        let Some(batch) = self.batch.clone() else { return };
        let merged = Advances::new(&self.claim, &batch.positions)
            .and_then(|advances| database.merge(session, &advances, batch.events));
        match merged {
            Ok(()) => self.is_merged = true,
            Err(error) => {
                let failure = Failure::from(error);
                match failure.verdict() {
                    Verdict::SameBatch => database.roll_back(session),
                    _ => self.fail(&failure),
                }
            }
        }
    }

    fn commit(&mut self, random: &mut Rng, database: &mut Database, session: SessionId) {
        let timeline = database.identity(database.server_of(session)).timeline;
        match database.commit(random, session) {
            Reply::Done => {
                if timeline < self.highest && !database.was_moved(session) {
                    let number = self.number;
                    database.violations.push(format!("writer {number} wrote to an old primary"));
                }
                let Some(batch) = self.batch.take() else { return };
                self.is_merged = false;
                self.claim.advance(&batch.positions);
                self.known.committed(&batch.positions);
            }
            Reply::Lost => self.fail(&cut(Place::Commit)),
        }
    }

    fn look(&mut self, database: &Database, session: SessionId) {
        // It looks between two batches.
        if self.batch.is_some() {
            return;
        }
        let Some(seen) = database.look(session) else { return self.fail(&cut(Place::Look)) };
        if let Err(old) = self.servers.observe(seen.server) {
            return self.fail(&old.into());
        }
        self.highest = self.highest.max(seen.server.timeline);
        if let Err(surprises) = self.claim.compare(&seen) {
            self.fail(&Failure::Surprised(surprises));
        }
    }

    /// Drops all that belongs to the claim. The session may live on at the server.
    fn fail(&mut self, failure: &Failure) {
        assert!(
            matches!(failure.verdict(), Verdict::ClaimAgain | Verdict::Fenced),
            "{failure} is no reason to claim again"
        );
        if let Some(batch) = self.batch.take().filter(|_| failure.leaves_commit_unknown()) {
            self.known.in_doubt(&batch.positions);
        }
        self.is_merged = false;
        self.session = None;
        self.owned.clear();
        self.claim = Claim::default();
        self.expected.clear();
    }
}

/// What the stewards see of the writers.
#[derive(Debug)]
pub struct World {
    /// Those that beat, the eldest first.
    pub live: Vec<usize>,
    /// Those that have not beaten for too long.
    pub stale: Vec<usize>,
}

fn cut(place: Place) -> Failure {
    DatabaseError::cut(place).into()
}
