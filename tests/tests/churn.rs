//! Fault 21: writers that join, leave and are killed every three seconds for a minute, under load.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_tests::{NumberedStream, Stack, Writer, numbered_stream::TABLE};
use tokio::time::{MissedTickBehavior, interval};

/// How long it goes on.
const DURATION: Duration = Duration::from_secs(60);

/// How often a writer joins, leaves or is killed.
const CHANGE: Duration = Duration::from_secs(3);

/// How often events are sent, to all partitions.
const SEND: Duration = Duration::from_millis(20);

const PARTITIONS: i32 = 6;

/// What happens to the writers.
#[derive(Clone, Copy, Debug)]
enum Change {
    Join,
    /// The eldest is told to end.
    Leave,
    /// The eldest is killed.
    Kill,
}

/// Over and over: two writers become three, and one at the least.
const CHANGES: [Change; 6] =
    [Change::Join, Change::Kill, Change::Join, Change::Leave, Change::Kill, Change::Join];

#[tokio::test]
async fn writers_that_come_and_go_merge_each_event_once_and_soon() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "churn", PARTITIONS).await?;
    let sql =
        format!("alter table {TABLE} add column seen_at timestamptz default clock_timestamp()");
    stream.database().primary().batch_execute(&sql).await?;
    let mut writers = vec![Writer::start(&stack, stream.config())?];
    writers[0].wait_until_ready().await?;
    writers.push(Writer::start(&stack, stream.config())?);
    writers[1].wait_until_ready().await?;

    // By number: when the events of all partitions with that number were sent.
    let mut sent_at = Vec::new();
    let mut leaving: Vec<Writer> = Vec::new();
    let mut changes = CHANGES.iter().cycle();
    let mut next_change = Instant::now() + CHANGE;
    let mut ticks = interval(SEND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + DURATION;
    while Instant::now() < end {
        ticks.tick().await;
        sent_at.push(now(&stream).await?);
        stream.send(usize::try_from(PARTITIONS)?).await?;
        if Instant::now() < next_change {
            continue;
        }
        next_change += CHANGE;
        match changes.next().context("a change")? {
            Change::Join => writers.push(Writer::start(&stack, stream.config())?),
            Change::Leave => {
                let mut eldest = writers.remove(0);
                eldest.terminate()?;
                leaving.push(eldest);
            }
            Change::Kill => writers.remove(0).kill()?,
        }
    }
    let merged = stream.wait_until_all_merged().await;
    merged.with_context(|| writers.iter().map(|one| one.output().tail()).collect::<String>())?;
    stream.check_complete().await?;
    for mut writer in leaving {
        ensure!(writer.wait_for_exit().await?.success(), "{}", writer.output().tail());
    }
    for mut writer in writers {
        writer.stop().await?;
    }
    report(&stream, &sent_at).await
}

/// The primary's clock, in seconds.
async fn now(stream: &NumberedStream) -> Result<f64> {
    let sql = "select extract(epoch from clock_timestamp())::float8";
    Ok(stream.database().primary().query_one(sql, &[]).await?.get(0))
}

/// From before an event is sent until the merge has written its row; the commit follows at once.
async fn report(stream: &NumberedStream, sent_at: &[f64]) -> Result<()> {
    let sql = format!(
        "select percentile_cont(array[0.5, 0.99, 1]) within group (order by latency) from (
             select extract(epoch from n.seen_at)::float8 - s.sent_at as latency
             from {TABLE} n
             join unnest($1::float8[]) with ordinality s(sent_at, number) on s.number = n.number + 1) l"
    );
    let row = stream.database().primary().query_one(&sql, &[&sent_at]).await?;
    let [p50, p99, max] = row.get::<_, Vec<f64>>(0)[..] else { unreachable!("three percentiles") };
    println!(
        "{} events; latency p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        stream.sent(),
        p50 * 1000.0,
        p99 * 1000.0,
        max * 1000.0
    );
    Ok(())
}
