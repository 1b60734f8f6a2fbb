//! Files that must be in their places already.

use std::fs;

use anyhow::{Context, Result, ensure};
use forebay_tests::{command, metrics::Metrics};
use serde_json::json;

use crate::site::{Kind, Site, fill};

/// Of ten events of one batch, the file of one is missing, and another's is of another size.
async fn a_missing_file(kind: Kind) -> Result<()> {
    let site = Site::create(kind, "missing").await?;
    let mut events = site.events[..10].to_vec();
    for event in &events {
        fill(&site.root(), event)?;
    }
    let missing = events[4].paths().pop().context("no file")?;
    fs::remove_file(site.root().join(&missing))?;
    let short = events[7].paths().remove(2);
    events[7].file(2)?["file_size"] = json!(1);
    let sent = site.send(&events).await?;
    let mut writer = site.start(site.checking())?;
    site.wait_until_merged(&sent, &writer).await?;

    let dead = site.dead_letters().await?;
    assert_eq!(dead.len(), 2, "{dead:#?}");
    let uri = site.uri("data");
    let last = events[4].paths().len() - 1;
    assert_eq!((dead[0].event, dead[0].sqlstate.as_str()), (sent[4], "FB005"));
    assert_eq!(dead[0].message, format!("datasets[{last}]: file {uri}/{missing} is missing"));
    assert_eq!((dead[1].event, dead[1].sqlstate.as_str()), (sent[7], "FB006"));
    ensure!(dead[1].message.contains(&format!("datasets[2]: file {uri}/{short} has")), "{dead:?}");
    for (number, event) in events.iter().enumerate() {
        match number {
            4 | 7 => assert_eq!(site.datasets(event).await?, 0),
            _ => site.check_merged(event).await?,
        }
    }
    let metrics = Metrics::of(&writer).await?;
    let files: usize = events.iter().map(|event| event.paths().len()).sum();
    let checked = |outcome| metrics.get("forebay_files_checked_total", &[("outcome", outcome)]);
    assert_eq!(checked("missing")?, 1.0);
    assert_eq!(checked("rejected")?, 1.0);
    assert_eq!(checked("present")?, files as f64 - 2.0);
    writer.stop().await
}

#[tokio::test]
async fn a_file_that_is_missing_in_a_directory_rejects_its_event_alone() -> Result<()> {
    a_missing_file(Kind::Directory).await
}

#[tokio::test]
async fn a_file_that_is_missing_in_a_bucket_rejects_its_event_alone() -> Result<()> {
    a_missing_file(Kind::Bucket).await
}

#[tokio::test]
async fn forebay_check_looks_at_the_roots() -> Result<()> {
    for kind in [Kind::Directory, Kind::Bucket] {
        let mut site = Site::create(kind, "checked").await?;
        for config in [site.checking(), site.staging()] {
            let checked = command::check(site.stack(), &config).await?;
            assert_eq!(checked.code, Some(0), "{}", checked.said());
            ensure!(checked.said().contains("ok: files.root"), "{}", checked.said());
        }
        match &mut site.store {
            Some(store) => store.kill()?,
            None => fs::rename(site.staging_root(), site.root().join("elsewhere"))?,
        }
        let checked = command::check(site.stack(), &site.staging()).await?;
        assert_eq!(checked.code, Some(1), "{}", checked.said());
        ensure!(checked.said().contains("problem: files.root"), "{}", checked.said());
    }
    Ok(())
}
