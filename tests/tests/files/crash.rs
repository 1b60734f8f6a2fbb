//! A writer that is killed anywhere between a staged file and its end.

use anyhow::{Context, Result};
use forebay_tests::{Writer, wait};

use crate::site::{Kind, Site, all_paths, check_all, files_below, fill, get, put};

/// Where it is killed.
const POINTS: [&str; 6] = [
    "files.before_stage",
    "stage.before_merge",
    "merge.before_commit",
    "merge.after_commit",
    "files.before_removal",
    "files.before_ack",
];

/// Kills a writer at each of these points, with an event on its way; then one goes on to the end.
async fn killed(kind: Kind, points: &[&str]) -> Result<()> {
    let site = Site::create(kind, "killed").await?;
    let mut events = site.events[..points.len()].to_vec();
    let mut sent = Vec::new();
    for (event, point) in events.iter_mut().zip(points) {
        event.truncate(6);
        fill(&site.staging_root(), event)?;
        sent.extend(site.send(std::slice::from_ref(event)).await?);
        let mut writer = site.start(site.staging().failpoint(point, 1))?;
        writer.wait_for_failpoint(point).await?;
        writer.kill()?;
    }
    let mut writer = site.start(site.staging())?;
    site.wait_until_merged(&sent, &writer).await?;
    site.wait_until_removed(&writer).await?;
    for event in &events {
        site.check_merged(event).await?;
        check_all(&site.root(), event)?;
    }
    assert_eq!(files_below(&site.root())?, all_paths(&events), "other files than these");
    assert_eq!(files_below(&site.staging_root())?, Vec::<String>::new());
    assert_eq!(site.dead_letters().await?.len(), 0);
    writer.stop().await
}

#[tokio::test]
async fn a_killed_writer_leaves_nothing_undone_in_directories() -> Result<()> {
    killed(Kind::Directory, &[&["files.in_copy"], &POINTS[..]].concat()).await
}

#[tokio::test]
async fn a_killed_writer_leaves_nothing_undone_in_a_bucket() -> Result<()> {
    killed(Kind::Bucket, &POINTS).await
}

/// Between the commit and the removal, a pod stages another file in the same place: that one stays.
#[tokio::test]
async fn another_file_in_the_place_of_a_merged_one_stays() -> Result<()> {
    for kind in [Kind::Directory, Kind::Bucket] {
        let site = Site::create(kind, "replaced").await?;
        let mut event = site.events[0].clone();
        event.truncate(3);
        fill(&site.staging_root(), &event)?;
        let sent = site.send(std::slice::from_ref(&event)).await?;
        let point = "files.before_removal";
        let mut writer = site.start(site.staging().failpoint(point, 1))?;
        writer.wait_for_failpoint(point).await?;
        writer.kill()?;
        let replaced = event.paths().remove(1);
        put(&site.staging_root(), &replaced, b"another")?;
        let mut writer = site.start(site.staging())?;
        site.wait_until_merged(&sent, &writer).await?;
        site.wait_until_removed(&writer).await?;
        assert_eq!(files_below(&site.staging_root())?, std::slice::from_ref(&replaced));
        assert_eq!(get(&site.staging_root(), &replaced), Some(b"another".to_vec()));
        check_all(&site.root(), &event)?;
        writer.stop().await?;
    }
    Ok(())
}

/// A staged file that can't be removed is not in the way of merging, and is removed when it can be.
#[tokio::test]
async fn what_is_in_the_way_of_removing_is_not_in_the_way_of_merging() -> Result<()> {
    let mut site = Site::create(Kind::Bucket, "unremovable").await?;
    let events: Vec<_> = site.events[..2].to_vec();
    for event in &events {
        fill(&site.staging_root(), event)?;
    }
    let sent = site.send(&events).await?;
    let point = "files.before_removal";
    let mut writer = site.start(site.staging().failpoint(point, 1))?;
    writer.wait_for_failpoint(point).await?;
    site.wait_until_merged(&sent, &writer).await?;
    writer.kill()?;
    site.store.as_mut().context("no store")?.kill()?;
    let mut writer: Writer = site.start(site.staging())?;
    site.wait_for_failures(&writer, "remove", 2.0).await?;
    wait::until("the writer to be ready", || async {
        Ok((writer.get("/readyz").await?.status == 200).then_some(()))
    })
    .await?;
    site.store.as_mut().context("no store")?.start().await?;
    site.wait_until_removed(&writer).await?;
    assert_eq!(files_below(&site.staging_root())?, Vec::<String>::new());
    writer.stop().await
}
