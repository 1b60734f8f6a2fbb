//! A model of writers, claims, unknown commits, failovers and zombies, in random order.
//!
//! The writers' decisions are the real ones: what to own ([`allocate`]), what a claim advances and
//! what a look finds otherwise ([`Claim`]), what an error means ([`Failure`]), which server is an
//! old one ([`ServerHistory`]). The database, Kafka and the faults are the model's. It checks
//! promises 1 to 3: what progress says is what is applied, on every server at every moment; in the
//! end each event is applied once; and no writer writes without the last claim.
//!
//! [`allocate`]: crate::ownership::allocation::allocate
//! [`Claim`]: crate::claim::Claim
//! [`Failure`]: crate::failure::Failure
//! [`ServerHistory`]: crate::server::ServerHistory

mod database;
mod writer;

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::position::{Partition, Topic};
use database::{Database, TokenRule};
use writer::{World, Writer};

type Key = crate::ownership::Key;

/// What Kafka holds: the offsets of each partition's events, with gaps.
type Log = BTreeMap<Key, Vec<i64>>;

const PARTITIONS: i32 = 3;
const WRITERS: usize = 3;
const STEPS: usize = 400;

/// So many seeds.
const HISTORIES: u64 = 1000;

/// Steps within which all must be merged once nothing fails any more.
const SETTLING: usize = 20_000;

fn key(partition: i32) -> Key {
    (Topic::from("t"), Partition(partition))
}

/// Runs one history, and answers what was wrong with it.
fn run(rule: TokenRule, seed: u64) -> Result<(), String> {
    let mut random = Rng::with_seed(seed);
    let mut database = Database::new(rule);
    let mut log: Log = (0..PARTITIONS).map(|number| (key(number), Vec::new())).collect();
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    for _ in 0..STEPS {
        produce(&mut random, &mut log);
        disturb(&mut random, &mut database, &mut writers);
        let stopped = |is: bool| move |writer: &&Writer| writer.is_stopped == is;
        let numbers = |is| writers.iter().filter(stopped(is)).map(|one| one.number).collect();
        // A stopped writer is taken for dead sooner or later.
        let stale = if random.bool() { numbers(true) } else { Vec::new() };
        let world = World { live: numbers(false), stale };
        let turn = random.usize(..WRITERS);
        writers[turn].step(&mut random, &mut database, &log, &world);
        check(&database, &log)?;
    }
    settle(&mut random, &mut database, &mut writers, &log)
}

fn produce(random: &mut Rng, log: &mut Log) {
    if random.u8(..3) == 0 {
        let events = log.get_mut(&key(random.i32(0..PARTITIONS))).expect("a partition");
        let next = events.last().map_or(0, |last| last + 1);
        // Transaction markers and compacted records leave gaps.
        events.push(next + i64::from(random.u8(..8) == 0));
    }
}

fn disturb(random: &mut Rng, database: &mut Database, writers: &mut [Writer]) {
    let number = random.usize(..writers.len());
    match random.u8(..80) {
        0 => database.fail_over(random),
        1 => {
            if let Some(server) = random.choice(database.alive()) {
                database.restore(random, server);
            }
        }
        2..=4 => writers[number].is_stopped = true,
        5..=9 => writers[number].is_stopped = false,
        // Killed, and started again: it has forgotten everything.
        10 | 11 => {
            if let Some(session) = writers[number].session() {
                database.end(random, session);
            }
            writers[number] = Writer::new(number);
        }
        12..=15 => {
            if let Some(session) = writers[number].session() {
                database.end(random, session);
            }
        }
        16..=20 => database.finish_one_in_doubt(),
        21..=23 => end_abandoned(random, database, writers),
        _ => {}
    }
}

fn end_abandoned(random: &mut Rng, database: &mut Database, writers: &[Writer]) {
    let used: Vec<_> = writers.iter().filter_map(Writer::session).collect();
    database.end_abandoned(random, &used);
}

/// On every server that lives, what progress says is what is applied, each event once.
fn check(database: &Database, log: &Log) -> Result<(), String> {
    if let Some(violation) = database.violations.first() {
        return Err(violation.clone());
    }
    for server in database.alive() {
        let state = database.state(server);
        for (key, events) in log {
            let next_offset = state.rows.get(key).map_or(0, |row| row.mark.next_offset.0);
            for offset in events {
                let applied = state.applied.get(&(key.clone(), *offset)).copied().unwrap_or(0);
                let expected = u32::from(*offset < next_offset);
                if applied != expected {
                    return Err(format!(
                        "{key:?} offset {offset} is applied {applied} times on server {server}, \
                         whose progress is {next_offset}"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Nothing fails any more: all writers wake up, one server is left, and all is merged there.
fn settle(
    random: &mut Rng,
    database: &mut Database,
    writers: &mut [Writer],
    log: &Log,
) -> Result<(), String> {
    database.settle();
    let server = *database.alive().first().expect("one is left");
    for writer in writers.iter_mut() {
        writer.is_stopped = false;
        // A person starts it anew, since the old primary is the one that is left.
        if writer.refuses(database.identity(server)) {
            *writer = Writer::new(writer.number);
        }
    }
    end_abandoned(random, database, writers);
    let world = World { live: (0..writers.len()).collect(), stale: Vec::new() };
    for _ in 0..SETTLING {
        let turn = random.usize(..writers.len());
        writers[turn].step(random, database, log, &world);
        check(database, log)?;
        let rows = &database.state(server).rows;
        let is_merged = |(key, events): (&Key, &Vec<i64>)| {
            let end = events.last().map_or(0, |last| last + 1);
            rows.get(key).map_or(0, |row| row.mark.next_offset.0) >= end
        };
        if log.iter().all(is_merged) {
            return Ok(());
        }
    }
    Err("not everything is merged, long after nothing fails any more".to_owned())
}

#[test]
fn each_event_is_applied_once_and_no_zombie_writes() {
    for seed in 0..HISTORIES {
        if let Err(violation) = run(TokenRule::Random, seed) {
            panic!("seed {seed}: {violation}");
        }
    }
}

/// A counter goes back with the data, and two claimants get the same number.
#[test]
fn the_model_catches_a_counter_in_the_tokens_place() {
    let caught = (0..HISTORIES).find_map(|seed| run(TokenRule::Counter, seed).err());
    let violation = caught.expect("a counter is as good as a token, says the model");
    assert!(violation.contains("zombie"), "{violation}");
}
