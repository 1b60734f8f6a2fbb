//! Events and pods that would have a writer read, write or remove what is not theirs.

use std::{fs, os::unix::fs::symlink};

use anyhow::{Context, Result, ensure};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::json;

use crate::{
    event::bytes_of,
    site::{Kind, Site, check_all, fill, get, put},
};

#[tokio::test]
async fn nothing_leads_out_of_the_roots() -> Result<()> {
    let site = Site::create(Kind::Directory, "hostile").await?;
    let staging = site.staging_root();
    let base = staging.parent().context("no parent")?;
    put(base, "outside/secret", b"secret")?;
    fs::create_dir_all(staging.join("a/directory/x"))?;
    symlink(base.join("outside"), staging.join("a/absolute"))?;
    symlink("../../outside", staging.join("a/relative"))?;
    symlink(base.join("outside/secret"), staging.join("a/link"))?;
    mkfifo(&staging.join("a/pipe"), Mode::from_bits_truncate(0o600))?;
    put(&staging, "a/.forebay-0123/x", b"x")?;
    let hostile = [
        ("../outside/secret", "22023"),
        ("a/../../outside/secret", "22023"),
        ("/etc/passwd", "22023"),
        ("a/%2e%2e/%2e%2e/outside/secret", "22023"),
        ("a/absolute/secret", "FB006"),
        ("a/relative/secret", "FB006"),
        ("a/link", "FB006"),
        ("a/directory", "FB006"),
        ("a/pipe", "FB006"),
        ("a/.forebay-0123/x", "FB006"),
        ("butler.yaml/x", "FB006"),
    ];
    let mut events = site.events[..=hostile.len()].to_vec();
    for (event, (path, _)) in events.iter_mut().zip(hostile) {
        event.truncate(2);
        fill(&staging, event)?;
        event.file(1)?["path"] = json!(path);
    }
    let good = events.pop().context("no event")?;
    fill(&staging, &good)?;
    let sent = site.send(&events).await?;
    let last = site.send(std::slice::from_ref(&good)).await?;
    let mut writer = site.start(site.staging())?;
    site.wait_until_merged(&[sent, last].concat(), &writer).await?;
    site.wait_until_removed(&writer).await?;
    let dead = site.dead_letters().await?;
    let found: Vec<&str> = dead.iter().map(|letter| letter.sqlstate.as_str()).collect();
    assert_eq!(found, hostile.map(|(_, sqlstate)| sqlstate), "{dead:#?}");
    for event in &events {
        let first = event.paths().remove(0);
        ensure!(get(&site.root(), &first).is_none(), "a rejected event's file was copied");
        assert_eq!(get(&staging, &first), Some(bytes_of(&first)));
    }
    assert_eq!(get(base, "outside/secret"), Some(b"secret".to_vec()));
    site.check_merged(&good).await?;
    check_all(&site.root(), &good)?;
    writer.stop().await
}

/// Both roots lead to one directory, by a link that the configuration does not show: nothing of it is
/// taken for a staged copy, and removed.
#[tokio::test]
async fn a_staging_root_that_is_the_root_loses_nothing() -> Result<()> {
    let site = Site::create(Kind::Directory, "same").await?;
    fs::remove_dir_all(site.staging_root())?;
    symlink(site.root(), site.staging_root())?;
    let event = &site.events[0];
    fill(&site.root(), event)?;
    let sent = site.send(std::slice::from_ref(event)).await?;
    let mut writer = site.start(site.staging())?;
    site.wait_until_merged(&sent, &writer).await?;
    let dead = site.dead_letters().await?;
    ensure!(dead[0].message.contains("is the same file"), "{dead:?}");
    check_all(&site.root(), event)?;
    writer.stop().await
}
