//! The sample, told of by several writers with small batches, and by one with large ones.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Stack, Writer, metrics::Metrics, wait};

use crate::{
    site::{SOURCE, Site, datasets_of},
    told::{Told, datasets},
};

#[tokio::test]
async fn each_dataset_is_told_of_once_and_within_its_events_positions() -> Result<()> {
    let stack = Stack::from_env()?;
    let site = Site::create(&stack, "told", 4).await?;
    let config = site.config().set("batch.max_rows", 500).set("workers.count", 2);
    let mut writers = [Writer::start(&stack, config.clone())?, Writer::start(&stack, config)?];
    for writer in &mut writers {
        writer.wait_until_ready().await?;
    }
    let sent = site.send(&site.events).await?;
    site.wait_until_merged(&sent).await?;
    let told = site.wait_until_told(&datasets_of(&site.events)?).await?;
    assert_eq!(datasets(&told), datasets_of(&site.events)?, "something is told of twice");
    ensure!(told.len() > 4, "{} messages say little", told.len());

    // Each event's datasets stand in the message whose positions it is in, in the events' order.
    for (event, place) in site.events.iter().zip(&sent).step_by(7) {
        let one = told.iter().find(|one| one.covers(place.partition, place.offset));
        let one = one.with_context(|| format!("nothing is told of {place:?}"))?;
        for id in datasets_of([event])? {
            ensure!(one.datasets.contains(&id), "{id} of {place:?} is told of elsewhere");
        }
    }
    check_positions(&site, &told).await?;
    for one in &told {
        assert_eq!((one.origin.as_str(), one.source.as_str()), ("prompt_processing", SOURCE));
        assert_eq!((one.part, one.parts, &one.batch_file), (Some(1), Some(1), &None));
    }
    let mut published = 0.0;
    for writer in &writers {
        published += Metrics::of(writer).await?.get("forebay_outbox_published_total", &[])?;
    }
    assert_eq!(published, told.len() as f64);
    for writer in &mut writers {
        writer.stop().await?;
    }
    Ok(())
}

/// A partition's ranges come in their order, without an overlap, and bear the tokens of claims.
async fn check_positions(site: &Site, told: &[Told]) -> Result<()> {
    let mut next = BTreeMap::new();
    let mut last = BTreeMap::new();
    for position in told.iter().flat_map(|one| &one.positions) {
        ensure!(position.topic == site.topic.name(), "{position:?}");
        let before = next.insert(position.partition, position.next_offset).unwrap_or(0);
        ensure!(before <= position.from_offset, "{position:?} comes after {before}");
        last.insert(position.partition, position.token.clone());
    }
    let sql = "select partition, token::text from forebay.progress";
    for row in site.database.primary().query(sql, &[]).await? {
        let (partition, token): (i32, String) = (row.get(0), row.get(1));
        ensure!(last.get(&partition) == Some(&token), "partition {partition} has other tokens");
    }
    Ok(())
}

#[tokio::test]
async fn large_batches_are_split_below_the_limit() -> Result<()> {
    let stack = Stack::from_env()?;
    let site = Site::create(&stack, "split", 1).await?;
    let sent = site.send(&site.events).await?;
    let config = site
        .config()
        .set("outbox.max_message_bytes", "64 KiB")
        .set("outbox.origin", "elsewhere")
        .set("memory.budget", "512 MiB");
    let mut writer = Writer::start(&stack, config)?;
    site.wait_until_merged(&sent).await?;
    let told = site.wait_until_told(&datasets_of(&site.events)?).await?;
    assert_eq!(datasets(&told), datasets_of(&site.events)?, "something is told of twice");
    let mut parts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for one in &told {
        ensure!(one.length <= 64 << 10, "a message of {} bytes", one.length);
        assert_eq!(one.origin, "elsewhere");
        parts.entry(&one.batch_id).or_default().push(one.part.context("part")?);
    }
    for one in &told {
        let expected: Vec<usize> = (1..=one.parts.context("parts")?).collect();
        assert_eq!(parts[one.batch_id.as_str()], expected);
    }
    ensure!(parts.values().any(|parts| parts.len() > 1), "nothing was split");
    writer.stop().await
}

/// The one that publishes hangs, with all its connections open: another takes it over.
#[tokio::test]
async fn a_hung_publisher_is_replaced() -> Result<()> {
    let stack = Stack::from_env()?;
    let site = Site::create(&stack, "hung", 2).await?;
    let mut first = Writer::start(&stack, site.config())?;
    let sent = site.send(&site.events[..20]).await?;
    site.wait_until_merged(&sent).await?;
    site.wait_until_told(&datasets_of(&site.events[..20])?).await?;
    let mut second = Writer::start(&stack, site.config())?;
    second.wait_until_ready().await?;
    let known = &second;
    wait::until("both to own a partition", || async move {
        let owned = Metrics::of(known).await?.get("forebay_owned_partitions", &[])?;
        Ok((owned == 1.0).then_some(()))
    })
    .await?;
    first.pause()?;
    let sent = site.send(&site.events[20..40]).await?;
    site.wait_until_merged(&sent).await?;
    let told = site.wait_until_told(&datasets_of(&site.events[..40])?).await?;
    assert_eq!(datasets(&told), datasets_of(&site.events[..40])?, "something is told of twice");
    let published = Metrics::of(&second).await?.get("forebay_outbox_published_total", &[])?;
    ensure!(published > 0.0, "the second has published nothing");
    first.resume()?;
    first.stop().await?;
    second.stop().await
}
