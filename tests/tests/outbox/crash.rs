//! A writer that is killed around publishing.

use anyhow::{Context, Result, ensure};
use forebay_tests::{Stack, Writer};

use crate::{
    site::{Site, datasets_of},
    told::{Told, datasets},
};

/// A writer is killed at a failpoint for each of these hits; another goes on. Answers what was told.
async fn killed_at(failpoint: &str, hits: &[u32]) -> Result<Vec<Told>> {
    let stack = Stack::from_env()?;
    let site = Site::create(&stack, "told_killed", 2).await?;
    let config = site.config().set("batch.max_rows", 300);
    site.send(&site.events[..60]).await?;
    for hit in hits {
        let mut writer = Writer::start(&stack, config.clone().failpoint(failpoint, *hit))?;
        writer.wait_for_failpoint(failpoint).await?;
        writer.kill()?;
    }
    let sent = site.send(&site.events[60..120]).await?;
    let mut writer = Writer::start(&stack, config)?;
    site.wait_until_merged(&sent).await.with_context(|| writer.output().tail())?;
    let told = site.wait_until_told(&datasets_of(&site.events[..120])?).await?;
    writer.stop().await?;
    Ok(told)
}

/// How many messages come again.
fn repetitions(told: &[Told]) -> usize {
    let again = |(index, one): &(usize, &Told)| {
        told[..*index]
            .iter()
            .any(|other| (&other.batch_id, other.part) == (&one.batch_id, one.part))
    };
    told.iter().enumerate().filter(again).count()
}

#[tokio::test]
async fn a_writer_killed_between_commit_and_publication_loses_nothing() -> Result<()> {
    let told = killed_at("merge.after_commit", &[1, 3]).await?;
    ensure!(!told.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_writer_killed_with_rows_in_its_hands_loses_nothing() -> Result<()> {
    let told = killed_at("outbox.before_publish", &[1, 2]).await?;
    assert_eq!(datasets(&told), datasets(&crate::told::without_repetitions(&told)));
    Ok(())
}

#[tokio::test]
async fn a_writer_killed_between_publication_and_acknowledgement_repeats_it_alone() -> Result<()> {
    let told = killed_at("outbox.before_ack", &[1, 1]).await?;
    ensure!(repetitions(&told) > 0, "the writer was not killed in between");
    Ok(())
}
