//! How Forebay stands to the others, and to the goals.

use crate::{
    jdbc_sink,
    results::{Measurement, Results},
    scenario::Scenario,
    stream::Stream,
    system::System,
};

/// A writer's speed as a share of another system's.
struct Goal {
    scenario: Scenario,
    writer: System,
    other: System,
    at_least: f64,
}

const PLAIN: Scenario = Scenario::Rows(Stream::Plain);

const GOALS: &[Goal] = &[
    speed(PLAIN, System::Forebay1, System::BulkSql, 1.1),
    speed(PLAIN, System::Forebay1, System::DebeziumJdbc, 4.0),
    speed(PLAIN, System::Forebay2, System::Copy, 0.7),
    speed(Scenario::Butler, System::Forebay1, System::ButlerClient, 12.0),
    speed(Scenario::Butler, System::Forebay2, System::ButlerClient, 15.0),
    speed(Scenario::Butler, System::Forebay1, System::BulkSql, 1.8),
];

const fn speed(scenario: Scenario, writer: System, other: System, at_least: f64) -> Goal {
    Goal { scenario, writer, other, at_least }
}

const MOST_MEMORY_MIB: f64 = 64.0;
/// Of the JDBC sink's.
const MOST_MEMORY_SHARE: f64 = 0.1;
/// Of the time of plain.
const MOST_OF_BAD_EVENTS: f64 = 1.3;
/// Of the speed of plain.
const LEAST_OF_UNCHANGED: f64 = 2.0;
/// Of the WAL of plain.
const MOST_WAL_OF_UNCHANGED: f64 = 0.02;

/// Prints all of it. Scenarios and systems that were left out are left out here.
pub fn print(all: &[Results]) {
    println!();
    for results in all {
        print_speeds(results);
    }
    print_without_start(all);
    print_replay(all);
    print_bad_events(all);
    print_memory(all);
}

/// What a person is told of a goal.
pub fn verdict(reached: bool, words: &str) -> String {
    format!(" (goal: {words}; {})", if reached { "reached" } else { "missed" })
}

fn print_speeds(results: &Results) {
    for writer in [System::Forebay1, System::Forebay2] {
        for other in [System::Copy, System::BulkSql, System::DebeziumJdbc, System::ButlerClient] {
            if let (Some(own), Some(others)) = (results.of(writer), results.of(other)) {
                let share = own.rows_per_second / others.rows_per_second;
                let goal = GOALS.iter().find(|goal| {
                    (goal.scenario, goal.writer, goal.other) == (results.scenario, writer, other)
                });
                let goal = goal.map(|goal| {
                    verdict(share >= goal.at_least, &format!("at least {}", goal.at_least))
                });
                println!(
                    "{}: {} is {share:.2} times as fast as {}{}",
                    results.scenario.name(),
                    writer.name(),
                    other.name(),
                    goal.unwrap_or_default()
                );
            }
        }
    }
}

/// The writer of one worker, in a scenario.
fn writer(all: &[Results], stream: Stream) -> Option<&Measurement> {
    let scenario = Scenario::Rows(stream);
    all.iter().find(|results| results.scenario == scenario)?.of(System::Forebay1)
}

/// The sink's program takes long to start: its speed without that is told besides.
fn print_without_start(all: &[Results]) {
    for results in all {
        let both = results.of(System::Forebay1).zip(results.of(System::DebeziumJdbc));
        if let Some((own, sink)) = both {
            let start = sink.steps.get(jdbc_sink::START).copied().unwrap_or_default();
            let share = (sink.seconds - start) / own.seconds;
            println!(
                "{}: forebay-1 with its start is {share:.2} times as fast as debezium-jdbc after \
                 its first batch",
                results.scenario.name()
            );
        }
    }
}

fn print_replay(all: &[Results]) {
    let both = writer(all, Stream::Plain).zip(writer(all, Stream::Unchanged));
    if let Some((plain, unchanged)) = both {
        let speed = unchanged.rows_per_second / plain.rows_per_second;
        let goal = verdict(speed >= LEAST_OF_UNCHANGED, "at least 2");
        println!("unchanged: forebay-1 is {speed:.2} times as fast as in plain{goal}");
        let wal = unchanged.wal_bytes_per_row / plain.wal_bytes_per_row;
        let goal = verdict(wal <= MOST_WAL_OF_UNCHANGED, "at most 0.02");
        println!("unchanged: forebay-1 writes {wal:.3} of the WAL of plain{goal}");
    }
}

fn print_bad_events(all: &[Results]) {
    let both = writer(all, Stream::Plain).zip(writer(all, Stream::BadEvents));
    if let Some((plain, bad)) = both {
        let cost = bad.seconds / plain.seconds;
        let goal = verdict(cost < MOST_OF_BAD_EVENTS, "less than 1.3");
        println!("bad-events: forebay-1 takes {cost:.2} of the time of plain{goal}");
    }
}

fn print_memory(all: &[Results]) {
    let plain = all.iter().find(|results| results.scenario == PLAIN);
    let both =
        plain.and_then(|plain| plain.of(System::Forebay1).zip(plain.of(System::DebeziumJdbc)));
    if let Some((own, sink)) = both {
        let share = own.peak_rss_mib / sink.peak_rss_mib;
        let goal = verdict(share <= MOST_MEMORY_SHARE, "at most 0.1");
        println!("memory: forebay-1 takes {share:.2} of what debezium-jdbc takes{goal}");
    }
    let writers = all.iter().filter_map(|results| results.of(System::Forebay1));
    if let Some(most) = writers.map(|writer| writer.peak_rss_mib).reduce(f64::max) {
        let goal = verdict(most < MOST_MEMORY_MIB, "less than 64");
        println!("memory: forebay-1 takes {most:.0} MiB at most{goal}");
    }
}
