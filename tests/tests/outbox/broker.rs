//! A broker that is killed between a batch's commit and its acknowledgement.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Broker, Database, Gate, Stack, Writer, wait};
use nix::sys::signal::Signal;

use crate::site::{SOURCE, Site, datasets_of};
use crate::told::datasets;

/// How often it is killed while batches are told of: the first time by [`kill_unacknowledged`].
const KILLS: usize = 3;

/// How many events come each time.
const EVENTS: usize = 30;

/// All is told of at least once; and whatever has left the outbox is in the topic.
#[tokio::test]
async fn what_a_killed_broker_has_not_acknowledged_stays() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut broker = Broker::create(&stack.directory("told_broker")?, "broker", &[]).await?;
    let database = Database::create(&stack, "told_broker").await?;
    let site = Site::create_in(&broker.bootstrap_servers(), database, "told_broker", 1).await?;
    let mut writer = Writer::start(&stack, site.config().set("batch.max_rows", 300))?;
    writer.wait_until_ready().await?;
    for kill in 0..KILLS {
        let events = &site.events[kill * EVENTS..(kill + 1) * EVENTS];
        if kill == 0 {
            kill_unacknowledged(&site, &mut broker, events).await?;
        } else {
            let killed = kill_amid_acknowledgements(&site, &mut broker, events).await;
            killed.with_context(|| writer.output().tail())?;
        }
        let gone = gone_from_the_outbox(&site).await?;
        broker.start().await?;
        let told: BTreeSet<_> = datasets(&site.heard().await?).into_iter().collect();
        println!("{} datasets are gone from the outbox, {} are told of", gone.len(), told.len());
        let lost: Vec<_> = gone.difference(&told).collect();
        ensure!(lost.is_empty(), "gone from the outbox, and not told of: {lost:?}");
    }
    let told = site.wait_until_told(&datasets_of(&site.events[..KILLS * EVENTS])?).await;
    told.with_context(|| writer.output().tail())?;
    writer.stop().await
}

/// Stops the broker while the writer has events in its hands, lets these be merged, and kills it.
async fn kill_unacknowledged(site: &Site, broker: &mut Broker, events: &[Vec<u8>]) -> Result<()> {
    let gate = Gate::before_stage(&site.database, "public.dataset").await?;
    let sent = site.send(events).await?;
    gate.wait_until_held().await?;
    broker.signal(Signal::SIGSTOP)?;
    gate.open().await?;
    site.database.wait_until_merged(SOURCE, &site.topic, sent[0]).await?;
    wait::until("the outbox", || async move { Ok((site.waiting().await? > 0).then_some(())) })
        .await?;
    broker.kill()?;
    ensure!(gone_from_the_outbox(site).await?.is_empty(), "nobody has acknowledged that");
    Ok(())
}

/// Waits until all earlier batches are told of, and kills the broker when some of the new ones are merged.
async fn kill_amid_acknowledgements(
    site: &Site,
    broker: &mut Broker,
    events: &[Vec<u8>],
) -> Result<()> {
    let nothing_waits = || async move { Ok((site.waiting().await? == 0).then_some(())) };
    wait::until("the outbox to be empty", nothing_waits).await?;
    let sent = site.send(events).await?;
    site.database.wait_until_merged(SOURCE, &site.topic, sent[EVENTS / 3]).await?;
    broker.kill()?;
    ensure!(!gone_from_the_outbox(site).await?.is_empty(), "earlier batches are told of");
    Ok(())
}

/// The datasets that are merged, and wait no longer to be told of.
async fn gone_from_the_outbox(site: &Site) -> Result<BTreeSet<String>> {
    let sql = "select d.id::text from dataset d where d.id::text not in ( \
                   select jsonb_array_elements_text(o.said -> 'datasets') from forebay.outbox o)";
    let rows = site.database.primary().query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
