//! Stores that do not answer, or not to this writer: nothing is rejected, and nothing is lost.

use std::fs;

use anyhow::{Context, Result, ensure};
use forebay_tests::{Writer, WriterConfig, wait};

use crate::site::{Kind, Site, fill};

/// The batch waits, and the writer says for what.
async fn check_waiting(site: &Site, writer: &Writer) -> Result<()> {
    // More than a batch is tried on one claim, so that it is read again, too.
    site.wait_for_failures(writer, "look", 12.0).await?;
    let ready = writer.get("/readyz").await?;
    assert_eq!(ready.status, 503);
    ensure!(ready.body.contains(r#""component":"files","ready":false"#), "{}", ready.body);
    ensure!(site.dead_letters().await?.is_empty(), "an outage has made dead letters");
    assert_eq!(site.datasets(&site.events[0]).await?, 0);
    Ok(())
}

async fn check_going_on(
    site: &Site,
    writer: &Writer,
    sent: &[forebay_tests::Delivery],
) -> Result<()> {
    site.wait_until_merged(sent, writer).await?;
    for event in &site.events[..5] {
        site.check_merged(event).await?;
    }
    ensure!(site.dead_letters().await?.is_empty());
    wait::until("the writer to be ready", || async move {
        let ready = writer.get("/readyz").await?;
        Ok((ready.status == 200 && !ready.body.contains("files")).then_some(()))
    })
    .await
}

async fn prepare(kind: Kind, prefix: &str) -> Result<Site> {
    let site = Site::create(kind, prefix).await?;
    for event in &site.events[..5] {
        fill(&site.root(), event)?;
    }
    Ok(site)
}

/// A root whose file system is not mounted: it is not there, or an empty directory.
async fn unmounted(leave_mount_point: bool) -> Result<()> {
    let site = prepare(Kind::Directory, "unmounted").await?;
    let away = site.root().with_file_name("away");
    fs::rename(site.root(), &away)?;
    if leave_mount_point {
        fs::create_dir(site.root())?;
    }
    let sent = site.send(&site.events[..5]).await?;
    let mut writer = site.start(site.checking())?;
    check_waiting(&site, &writer).await?;
    if leave_mount_point {
        fs::remove_dir(site.root())?;
    }
    fs::rename(&away, site.root())?;
    check_going_on(&site, &writer, &sent).await?;
    writer.stop().await
}

#[tokio::test]
async fn a_directory_that_is_gone_holds_up_the_batch() -> Result<()> {
    unmounted(false).await
}

#[tokio::test]
async fn a_mount_point_without_its_mount_holds_up_the_batch() -> Result<()> {
    unmounted(true).await
}

#[tokio::test]
async fn an_object_store_that_is_down_holds_up_the_batch() -> Result<()> {
    let mut site = prepare(Kind::Bucket, "down").await?;
    site.store.as_mut().context("no store")?.kill()?;
    let sent = site.send(&site.events[..5]).await?;
    let mut writer = site.start(site.checking())?;
    check_waiting(&site, &writer).await?;
    site.store.as_mut().context("no store")?.start().await?;
    check_going_on(&site, &writer, &sent).await?;
    writer.stop().await
}

/// A store that lets nobody in, a bucket that is not there: the writer waits until it is configured
/// otherwise.
#[tokio::test]
async fn an_object_store_that_refuses_holds_up_the_batch() -> Result<()> {
    let site = prepare(Kind::Bucket, "denied").await?;
    let sent = site.send(&site.events[..5]).await?;
    let refused: [fn(WriterConfig) -> WriterConfig; 2] = [
        |config| config.set("files.s3_secret_access_key", "another"),
        |config| config.set("files.root", "s3://nothing/data"),
    ];
    for refused in refused {
        let mut writer = site.start(refused(site.checking()))?;
        check_waiting(&site, &writer).await?;
        writer.kill()?;
    }
    let mut writer = site.start(site.checking())?;
    check_going_on(&site, &writer, &sent).await?;
    writer.stop().await
}

#[tokio::test]
async fn a_staging_root_that_is_gone_rejects_nothing() -> Result<()> {
    let site = Site::create(Kind::Directory, "unstaged").await?;
    for event in &site.events[..5] {
        fill(&site.staging_root(), event)?;
    }
    let away = site.root().with_file_name("away");
    fs::rename(site.staging_root(), &away)?;
    let sent = site.send(&site.events[..5]).await?;
    let mut writer = site.start(site.staging())?;
    check_waiting(&site, &writer).await?;
    fs::rename(&away, site.staging_root())?;
    check_going_on(&site, &writer, &sent).await?;
    writer.stop().await
}
