//! Ids in files, and what is in the way of publishing.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use forebay_tests::{Stack, Topic, Writer, account, command, metrics::Metrics, wait};
use serde_json::Value;

use crate::site::{Site, datasets_of};

/// Its file, as the consumers of the existing service read it.
fn read_batch(directory: &Path, name: &str, batch_id: &str) -> Result<Vec<String>> {
    let content = fs::read(directory.join(name)).with_context(|| format!("read {name}"))?;
    let content: Value = serde_json::from_slice(&content)?;
    assert_eq!(content["batch_id"], batch_id);
    let ids = content["datasets"].as_array().context("datasets")?;
    ids.iter().map(|id| Ok(id.as_str().context("an id")?.to_owned())).collect()
}

#[tokio::test]
async fn a_message_names_a_file_that_is_whole() -> Result<()> {
    let stack = Stack::from_env()?;
    let site = Site::create(&stack, "filed", 2).await?;
    let directory = stack.directory("batches")?;
    let config = site
        .config()
        .set("outbox.directory", directory.display().to_string())
        .set("outbox.file_prefix", "file:///batches/")
        .set("batch.max_rows", 300);
    let mut writer = Writer::start(&stack, config)?;
    let sent = site.send(&site.events[..60]).await?;
    site.wait_until_merged(&sent).await?;
    writer.stop().await?;
    assert_eq!(site.waiting().await?, 0);

    let mut ids = Vec::new();
    let mut names = Vec::new();
    for one in site.heard().await? {
        let file = one.batch_file.as_deref().context("batch_file")?;
        let name = file.strip_prefix("file:///batches/").context("no prefix")?;
        ids.extend(read_batch(&directory, name, &one.batch_id)?);
        ensure!(one.datasets.is_empty() && one.part.is_none(), "{one:?}");
        names.push(name.to_owned());
    }
    ids.sort_unstable();
    assert_eq!(ids, datasets_of(&site.events[..60])?);
    let mut found: Vec<String> = fs::read_dir(&directory)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    found.sort_unstable();
    names.sort_unstable();
    assert_eq!(found, names, "other files than those that are told of");
    Ok(())
}

/// Neither a directory that is missing nor a topic that takes nothing holds up merging; and
/// `forebay check` says the first.
#[tokio::test]
async fn what_is_in_the_way_of_publishing_is_not_in_the_way_of_merging() -> Result<()> {
    let stack = Stack::from_env()?;
    let site = Site::create(&stack, "in_the_way", 1).await?;
    let missing = stack.scratch().join(format!("{}_batches", site.told.name()));
    let tiny = [("max.message.bytes", "100")];
    site.told.delete(stack.kafka()).await?;
    let name = site.told.name();
    let small = Topic::create_with(stack.kafka(), name, 2, &tiny).await?;
    let config = site.config().set("outbox.directory", missing.display().to_string());

    let mut writer = Writer::start(&stack, config.clone())?;
    let sent = site.send(&site.events[..40]).await?;
    site.wait_until_merged(&sent).await?;
    wait_for_failures(&writer, "file").await?;
    let checked = command::check(&stack, &config).await?;
    ensure!(checked.said().contains("cannot be written"), "{}", checked.said());
    assert_eq!(checked.code, Some(1));

    account::make_directory(&missing)?;
    wait_for_failures(&writer, "broker").await?;
    let sent = site.send(&site.events[40..80]).await?;
    site.wait_until_merged(&sent).await?;
    ensure!(site.waiting().await? > 0, "where has it gone?");
    let checked = command::check(&stack, &config).await?;
    assert_eq!(checked.code, Some(0), "{}", checked.said());

    small.delete(stack.kafka()).await?;
    let checked = command::check(&stack, &config).await?;
    ensure!(checked.said().contains("outbox.topic"), "{}", checked.said());
    Topic::create_with(stack.kafka(), name, 2, &[]).await?;
    let site = &site;
    wait::until("the outbox to be empty", || async move {
        Ok((site.waiting().await? == 0).then_some(()))
    })
    .await
    .with_context(|| writer.output().tail())?;
    let mut ids = Vec::new();
    for one in site.heard().await? {
        let file = one.batch_file.as_deref().context("batch_file")?;
        ids.extend(read_batch(&missing, file, &one.batch_id)?);
    }
    ids.sort_unstable();
    assert_eq!(ids, datasets_of(&site.events[..80])?);
    writer.stop().await
}

async fn wait_for_failures(writer: &Writer, cause: &str) -> Result<()> {
    wait::until(format!("a failure by {cause}"), || async move {
        let metrics = Metrics::of(writer).await?;
        let failures = metrics.sum("forebay_outbox_failures_total", &[("cause", cause)]);
        let merged = metrics.get("forebay_outbox_waiting", &[])?;
        Ok((failures.unwrap_or(0.0) > 0.0 && merged > 0.0).then_some(()))
    })
    .await
    .with_context(|| writer.output().tail())
}
