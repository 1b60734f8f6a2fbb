//! What the demo has shown.

use anyhow::Result;
use forebay_tests::{
    Database, Stack, Topic, butler_sample, endpoint::SUPERUSER, latency::percentile,
};

use crate::feed::Run;

/// Prints the report; whether the replica holds all that it should.
pub async fn print(database: &Database, run: &Run) -> Result<bool> {
    let replica = database.connect_replica().await?;
    println!("On the replica, beside what the official client makes of the same events:\n");
    println!("  {:<40} {:>8} {:>9}", "table", "rows", "expected");
    let mut complete = true;
    for (table, expected) in butler_sample::row_counts()? {
        let sql = format!("select count(*) from public.\"{table}\"");
        let rows: i64 = replica.query_one(&sql, &[]).await?.get(0);
        let remark = if rows == expected { "" } else { "  differs" };
        complete &= rows == expected;
        println!("  {table:<40} {rows:>8} {expected:>9}{remark}");
    }
    let sql = "select count(*) from forebay.dead_letter";
    let dead_letters: i64 = replica.query_one(sql, &[]).await?.get(0);
    println!("  {:<40} {dead_letters:>8} {:>9}", "forebay.dead_letter", 0);
    println!();

    let elapsed = run.elapsed.as_secs_f64();
    println!(
        "{} events in {elapsed:.1} s: {:.0} per second.",
        run.events,
        run.events as f64 / elapsed
    );
    println!("From produce to visible on the replica:\n");
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
        let latency = percentile(&run.latencies, share).as_secs_f64() * 1000.0;
        println!("  {name} {latency:8.1} ms");
    }
    println!();
    Ok(complete && dead_letters == 0)
}

/// Prints how to look around.
pub fn how_to_look(database: &Database, topic: &Topic, stack: &Stack) {
    println!("To look around:\n");
    let endpoints = [
        ("the replica", database.replica_endpoint()),
        ("the primary", Some(database.primary_endpoint())),
    ];
    for (what, endpoint) in endpoints {
        if let Some(endpoint) = endpoint {
            println!("  psql '{}'    # {what}", endpoint.dsn(database.name(), SUPERUSER));
        }
    }
    println!("  select * from forebay.watermark;");
    println!("  Kafka is at {}, the topic is {}.\n", stack.kafka(), topic.name());
}
