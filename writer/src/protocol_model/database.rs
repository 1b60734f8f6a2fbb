//! The database of the model: servers that are promoted from one another's past, the sessions on
//! them, and what `sql/ownership.sql`, `sql/claim.sql` and `sql/merge.sql` do, step by step.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fastrand::Rng;
use uuid::Uuid;

use super::{Key, key};
use crate::claim::{Claimed, Seen};
use crate::merge::Advances;
use crate::position::Offset;
use crate::retry::{FENCED, Place};
use crate::server::Server;
use crate::session::DatabaseError;
use crate::stopped_partition::Mark;

/// How claims draw their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRule {
    Random,
    /// The mutant: it goes back with the data.
    Counter,
}

/// Names a session.
pub type SessionId = usize;

/// What is committed.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub rows: BTreeMap<Key, Row>,
    /// How often each event was merged, or became a dead letter.
    pub applied: BTreeMap<(Key, i64), u32>,
}

#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub mark: Mark,
    /// Which claim was the last, seen from outside: the tokens' purpose, without tokens.
    claim: u64,
}

/// A server with all that was ever committed on it, so that replicas can lag.
#[derive(Debug)]
struct Instance {
    identity: Server,
    history: Vec<State>,
    is_alive: bool,
    owners: HashMap<Key, SessionId>,
}

#[derive(Debug)]
struct Session {
    writer: usize,
    server: usize,
    is_alive: bool,
    /// A proxy has moved it to another server, and the writer can't know before it looks.
    was_moved: bool,
    /// By partition: the number of this session's last claim.
    claims: HashMap<Key, u64>,
    transaction: Option<Transaction>,
}

/// A merge that is not committed yet; it holds its progress rows.
#[derive(Debug, Clone)]
struct Transaction {
    advances: Vec<(Key, Offset)>,
    events: Vec<(Key, i64)>,
    /// COMMIT has been sent, and nobody knows what becomes of it.
    is_in_doubt: bool,
}

/// All servers.
#[derive(Debug)]
pub struct Database {
    rule: TokenRule,
    servers: Vec<Instance>,
    sessions: Vec<Session>,
    claims: u64,
    /// What was done that must never be done.
    pub violations: Vec<String>,
}

/// How a COMMIT ends, for the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Done,
    Lost,
}

impl Database {
    pub fn new(rule: TokenRule) -> Self {
        let first = Instance {
            identity: Server { system_identifier: 1, timeline: 1 },
            history: vec![State::default()],
            is_alive: true,
            owners: HashMap::new(),
        };
        let (servers, sessions) = (vec![first], Vec::new());
        Self { rule, servers, sessions, claims: 0, violations: Vec::new() }
    }

    /// The servers that take writes.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.servers.len()).filter(|server| self.servers[*server].is_alive).collect()
    }

    /// What is committed on a server.
    pub fn state(&self, server: usize) -> &State {
        self.servers[server].history.last().expect("a server begins with a state")
    }

    /// `forebay.open_session`: a writer has one session on a server.
    pub fn connect(&mut self, random: &mut Rng, server: usize, writer: usize) -> SessionId {
        for session in 0..self.sessions.len() {
            let Session { writer: of, server: on, .. } = self.sessions[session];
            if (of, on) == (writer, server) {
                self.end(random, session);
            }
        }
        self.sessions.push(Session {
            writer,
            server,
            is_alive: true,
            was_moved: false,
            claims: HashMap::new(),
            transaction: None,
        });
        self.sessions.len() - 1
    }

    pub fn server_of(&self, session: SessionId) -> usize {
        self.sessions[session].server
    }

    pub fn was_moved(&self, session: SessionId) -> bool {
        self.sessions[session].was_moved
    }

    pub fn is_alive(&self, session: SessionId) -> bool {
        self.sessions[session].is_alive
    }

    /// The writer that owns a partition on a server.
    pub fn owner(&self, server: usize, key: &Key) -> Option<usize> {
        let session = self.servers[server].owners.get(key)?;
        self.sessions[*session].is_alive.then_some(self.sessions[*session].writer)
    }

    /// Keepalives end the sessions that their writers have given up.
    pub fn end_abandoned(&mut self, random: &mut Rng, used: &[SessionId]) {
        for session in 0..self.sessions.len() {
            if !used.contains(&session) {
                self.end(random, session);
            }
        }
    }

    /// `forebay.own`: partitions that nobody owns, or a stale writer.
    pub fn own(
        &mut self,
        random: &mut Rng,
        session: SessionId,
        wanted: &BTreeSet<Key>,
        stale: &[usize],
    ) -> BTreeSet<Key> {
        let server = self.sessions[session].server;
        let mut owned = BTreeSet::new();
        for key in wanted {
            let holder = self.servers[server].owners.get(key).copied();
            if let Some(holder) = holder.filter(|holder| *holder != session) {
                if stale.contains(&self.sessions[holder].writer) {
                    self.end(random, holder);
                }
                if self.sessions[holder].is_alive {
                    continue;
                }
            }
            self.servers[server].owners.insert(key.clone(), session);
            owned.insert(key.clone());
        }
        owned
    }

    /// `forebay.disown`.
    pub fn disown(&mut self, session: SessionId, keys: &BTreeSet<Key>) {
        let server = self.sessions[session].server;
        let owners = &mut self.servers[server].owners;
        owners.retain(|key, owner| *owner != session || !keys.contains(key));
    }

    /// `forebay.claim`: ends whoever holds a row, and draws new tokens.
    pub fn claim(
        &mut self,
        random: &mut Rng,
        session: SessionId,
        keys: &BTreeSet<Key>,
    ) -> Vec<(Key, Claimed)> {
        let server = self.sessions[session].server;
        for key in keys {
            if let Some(holder) = self.holder(server, key).filter(|holder| *holder != session) {
                self.end(random, holder);
            }
        }
        let mut state = self.state(server).clone();
        let mut claimed = Vec::new();
        for key in keys {
            self.claims += 1;
            let before = state.rows.get(key).map(|row| row.mark);
            let token = match (self.rule, before) {
                (TokenRule::Random, _) => Uuid::from_u128(random.u128(..)),
                (TokenRule::Counter, None) => Uuid::from_u128(1),
                (TokenRule::Counter, Some(mark)) => Uuid::from_u128(mark.token.as_u128() + 1),
            };
            let next_offset = before.map_or(Offset(0), |mark| mark.next_offset);
            let row = Row { mark: Mark { token, next_offset }, claim: self.claims };
            state.rows.insert(key.clone(), row);
            self.sessions[session].claims.insert(key.clone(), self.claims);
            let first_seen = before.is_none();
            let granted =
                Claimed { token, next_offset, last_timestamp_ms: None, last: None, first_seen };
            claimed.push((key.clone(), granted));
        }
        self.servers[server].history.push(state);
        claimed
    }

    /// `forebay.merge`: the fence, and the rows, in a transaction that stays open.
    pub fn merge(
        &mut self,
        session: SessionId,
        advances: &Advances<'_>,
        events: Vec<(Key, i64)>,
    ) -> Result<(), DatabaseError> {
        let lost = |sqlstate: Option<&str>| {
            let message = "the model says so".to_owned();
            DatabaseError::unreachable(sqlstate.map(str::to_owned), message).at(Place::Merge)
        };
        if !self.sessions[session].is_alive {
            return Err(lost(None));
        }
        let server = self.sessions[session].server;
        let mut moved = Vec::new();
        for (index, partition) in advances.partitions.iter().enumerate() {
            let key = key(*partition);
            if self.holder(server, &key).is_some_and(|holder| holder != session) {
                return Err(lost(Some("55P03")));
            }
            let mark = self.state(server).rows.get(&key).map(|row| row.mark);
            let next_offset = Offset(advances.from_offsets[index]);
            let expected = Mark { token: advances.tokens[index], next_offset };
            if mark != Some(expected) {
                return Err(lost(Some(FENCED)));
            }
            moved.push((key, Offset(advances.next_offsets[index])));
        }
        let transaction = Transaction { advances: moved, events, is_in_doubt: false };
        self.sessions[session].transaction = Some(transaction);
        Ok(())
    }

    pub fn roll_back(&mut self, session: SessionId) {
        self.sessions[session].transaction = None;
    }

    /// COMMIT, which may be lost on its way there, on its way back, or be under way when the
    /// connection is cut.
    pub fn commit(&mut self, random: &mut Rng, session: SessionId) -> Reply {
        if !self.sessions[session].is_alive {
            return Reply::Lost;
        }
        match random.u8(..8) {
            0 => {
                self.finish(session);
                self.sessions[session].is_alive = false;
                Reply::Lost
            }
            1 => {
                self.sessions[session].transaction = None;
                self.sessions[session].is_alive = false;
                Reply::Lost
            }
            2 => {
                if let Some(transaction) = &mut self.sessions[session].transaction {
                    transaction.is_in_doubt = true;
                }
                Reply::Lost
            }
            _ => {
                self.finish(session);
                Reply::Done
            }
        }
    }

    pub fn look(&self, session: SessionId) -> Option<Seen> {
        let Session { is_alive, server, .. } = self.sessions[session];
        let rows = &self.state(server).rows;
        is_alive.then(|| Seen {
            server: self.servers[server].identity,
            marks: rows.iter().map(|(key, row)| (key.clone(), row.mark)).collect(),
        })
    }

    pub fn identity(&self, server: usize) -> Server {
        self.servers[server].identity
    }

    /// A replica is promoted that lags by so many commits behind any server, alive or not. Other
    /// servers die, unless they are left behind alive. Their sessions die with them, unless a proxy
    /// moves them to the new one, without a word.
    pub fn fail_over(&mut self, random: &mut Rng) {
        let parent = random.usize(..self.servers.len());
        let kept = self.servers[parent].history.len().saturating_sub(random.usize(..4)).max(1);
        let history = self.servers[parent].history[..kept].to_vec();
        let identity = self.servers[parent].identity;
        let identity = Server { timeline: identity.timeline + 1, ..identity };
        let leave_behind = random.u8(..4) == 0;
        let new = self.servers.len();
        for session in 0..self.sessions.len() {
            if leave_behind || !self.sessions[session].is_alive {
                continue;
            }
            self.sessions[session].transaction = None;
            if random.u8(..3) == 0 {
                self.sessions[session].server = new;
                self.sessions[session].was_moved = true;
            } else {
                self.sessions[session].is_alive = false;
            }
        }
        for server in &mut self.servers {
            server.is_alive &= leave_behind;
        }
        let owners = HashMap::new();
        self.servers.push(Instance { identity, history, is_alive: true, owners });
    }

    /// The last server that was promoted is left, alone.
    pub fn settle(&mut self) {
        let last = self.servers.len() - 1;
        for (number, server) in self.servers.iter_mut().enumerate() {
            server.is_alive = number == last;
        }
        for session in &mut self.sessions {
            session.is_alive &= session.server == last;
        }
    }

    /// A person puts tables and progress back in place, under the sessions' hands.
    pub fn restore(&mut self, random: &mut Rng, server: usize) {
        let history = &mut self.servers[server].history;
        let back = history.len().saturating_sub(1 + random.usize(..4));
        let restored = history[back].clone();
        history.push(restored);
        for session in self.sessions.iter_mut().filter(|session| session.server == server) {
            // The restore waits for who holds rows, or ends them.
            session.transaction = None;
        }
    }

    /// Ends a session; a COMMIT that is under way may still come through.
    pub fn end(&mut self, random: &mut Rng, session: SessionId) {
        let is_in_doubt =
            self.sessions[session].transaction.as_ref().is_some_and(|open| open.is_in_doubt);
        if self.sessions[session].is_alive && is_in_doubt && random.bool() {
            self.finish(session);
        }
        self.sessions[session].transaction = None;
        self.sessions[session].is_alive = false;
    }

    /// COMMITs that are under way come through in their own time.
    pub fn finish_one_in_doubt(&mut self) {
        let in_doubt = |session: &Session| {
            session.is_alive && session.transaction.as_ref().is_some_and(|open| open.is_in_doubt)
        };
        if let Some(session) = self.sessions.iter().position(in_doubt) {
            self.finish(session);
            self.sessions[session].is_alive = false;
        }
    }

    fn holder(&self, server: usize, key: &Key) -> Option<SessionId> {
        self.sessions.iter().position(|session| {
            let open = session.transaction.as_ref();
            session.is_alive
                && session.server == server
                && open.is_some_and(|open| open.advances.iter().any(|(held, _)| held == key))
        })
    }

    /// Commits, and checks that who commits has the last claim of each of its partitions.
    fn finish(&mut self, session: SessionId) {
        let Some(transaction) = self.sessions[session].transaction.take() else { return };
        let server = self.sessions[session].server;
        let mut state = self.state(server).clone();
        for (key, next_offset) in transaction.advances {
            let Some(row) = state.rows.get_mut(&key) else { continue };
            if self.sessions[session].claims.get(&key) != Some(&row.claim) {
                let writer = self.sessions[session].writer;
                self.violations.push(format!("writer {writer} wrote {key:?} as a zombie"));
            }
            row.mark.next_offset = next_offset;
        }
        for event in transaction.events {
            *state.applied.entry(event).or_default() += 1;
        }
        self.servers[server].history.push(state);
    }
}
