//! A file of several datasets, one of which an earlier event of the same batch has, too.

use anyhow::{Context, Result};
use forebay_tests::{Message, Stack, Writer, butler_sample};
use serde_json::Value;

use crate::repository::{Repository, SOURCE, broken_event};

/// An event whose first file has the datasets of the first two, and the UUIDs of these.
fn shared(event: &[u8]) -> Result<(Vec<u8>, Vec<String>)> {
    let mut event: Value = serde_json::from_slice(event)?;
    let files = event["datasets"].as_array_mut().context("files")?;
    let second = files.remove(1);
    let second = second["refs"].as_object().context("references")?.clone();
    let refs = files[0]["refs"].as_object_mut().context("references")?;
    refs.extend(second);
    let ids = refs.keys().cloned().collect();
    Ok((serde_json::to_vec(&event)?, ids))
}

/// Sends an event with the file's first dataset, then one with the file; answers how many records the
/// datastore has of its datasets, and how many events were rejected.
async fn records(first: &[u8], file: &[u8], ids: &[String]) -> Result<(i64, usize)> {
    let stack = Stack::from_env()?;
    let repository = Repository::create(&stack, "shared", 1).await?;
    let config = repository.config().set("rejections.max_share", 1.0);
    let (bootstrap, _) = repository.events();
    let mut writer = Writer::start(&stack, config.clone())?;
    repository.send(&[bootstrap]).await?;
    writer.stop().await?;
    let both = [first, file].map(|event| Message { payload: Some(event), ..Message::default() });
    // One batch: both lie there before the writer starts.
    let sent = repository.produce(&both).await?;
    let mut writer = Writer::start(&stack, config)?;
    repository.wait_until_merged(&sent).await?;
    writer.stop().await?;
    let sql = "select count(*) from file_datastore_records where dataset_id::text = any ($1)";
    let records = repository.database().primary().query_one(sql, &[&ids]).await?.get(0);
    Ok((records, repository.database().dead_letters(SOURCE).await?.len()))
}

/// The datastore knows the file by its first dataset then, and the client adds no record of the other.
#[tokio::test]
async fn a_file_that_an_earlier_event_has_is_known() -> Result<()> {
    let sample = butler_sample::events()?;
    let (file, ids) = shared(&sample[1])?;
    let mut alone: Value = serde_json::from_slice(&sample[1])?;
    alone["datasets"].as_array_mut().context("files")?.truncate(1);
    assert_eq!(records(&serde_json::to_vec(&alone)?, &file, &ids).await?, (1, 0));
    Ok(())
}

/// That it is rejected only the merge finds out, when the second event has been resolved already.
#[tokio::test]
async fn a_file_that_a_rejected_event_has_is_new() -> Result<()> {
    let sample = butler_sample::events()?;
    let (file, ids) = shared(&sample[1])?;
    let rejected = broken_event(&sample[1], 1, |dataset| {
        dataset.data_id().insert("detector".into(), 9999.into());
    })?;
    let mut rejected: Value = serde_json::from_slice(&rejected)?;
    rejected["datasets"].as_array_mut().context("files")?.truncate(1);
    assert_eq!(records(&serde_json::to_vec(&rejected)?, &file, &ids).await?, (2, 1));
    Ok(())
}
