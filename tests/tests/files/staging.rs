//! Files that are staged: copied before their events are merged, removed after.

use std::fs;

use anyhow::{Context, Result, ensure};
use forebay_tests::metrics::Metrics;
use serde_json::json;

use crate::{
    event::{Event, bytes_of},
    site::{Kind, Site, all_paths, check_all, files_below, fill, get, put},
};

/// Of ten events of one batch, three say something else of a file than what is there, and one has a
/// dataset that the merge refuses.
async fn mixed(kind: Kind) -> Result<()> {
    let site = Site::create(kind, "staged").await?;
    let mut events = site.events[..10].to_vec();
    for event in &mut events {
        event.truncate(12);
        fill(&site.staging_root(), event)?;
        for (number, path) in event.paths().iter().enumerate().filter(|(number, _)| number % 3 == 0)
        {
            event.promise(number, &bytes_of(path))?;
        }
    }
    events[2].promise(4, b"other bytes")?;
    let same_length = bytes_of(&events[5].paths()[7]).to_ascii_uppercase();
    events[5].promise(7, &same_length)?;
    fs::remove_file(site.staging_root().join(&events[6].paths()[11]))?;
    refuse_in_merge(&mut events[8])?;
    // One file for two datasets, and an empty one.
    let shared = events[0].paths().remove(1);
    events[1].file(1)?["path"] = json!(shared);
    let abandoned = site.events[1].paths().remove(1);
    fs::remove_file(site.staging_root().join(&abandoned))?;
    let empty = events[3].paths().remove(0);
    put(&site.staging_root(), &empty, b"")?;
    events[3].promise(0, b"")?;

    let sent = site.send(&events).await?;
    let mut writer = site.start(site.staging())?;
    site.wait_until_merged(&sent, &writer).await?;
    site.wait_until_removed(&writer).await?;
    let dead = site.dead_letters().await?;
    let offsets: Vec<i64> = dead.iter().map(|letter| letter.event.offset).collect();
    assert_eq!(offsets, [2, 5, 6, 8].map(|number| sent[number].offset), "{dead:#?}");
    for (letter, words) in
        dead.iter().zip(["datasets[4]", "has the checksum", "is missing, and", "detector"])
    {
        ensure!(letter.message.contains(words), "{letter:?} without {words}");
    }
    let staged_at = format!("{}/{}", site.uri("staged"), events[2].paths()[4]);
    ensure!(dead[0].message.contains(&staged_at), "{:?} does not name {staged_at}", dead[0]);

    let accepted = [0, 1, 3, 4, 7, 9].map(|number| &events[number]);
    let of_merge = &events[8];
    for event in accepted {
        site.check_merged(event).await?;
    }
    // Files of events that the merge refuses are in both places, those of others that are refused are
    // where they were.
    assert_eq!(files_below(&site.root())?, all_paths(accepted.into_iter().chain([of_merge])));
    assert_eq!(get(&site.root(), &empty), Some(Vec::new()));
    fs::remove_file(site.root().join(&empty))?;
    put(&site.root(), &empty, &bytes_of(&empty))?;
    for event in accepted.into_iter().chain([of_merge]) {
        check_all(&site.root(), event)?;
    }
    let mut left = all_paths([2, 5, 6, 8].map(|number| &events[number]));
    left.retain(|path| *path != events[6].paths()[11]);
    assert_eq!(files_below(&site.staging_root())?, left);

    let metrics = Metrics::of(&writer).await?;
    let files = all_paths(accepted).len() as f64;
    assert_eq!(metrics.get("forebay_files_copied_total", &[])?, files + 12.0);
    assert_eq!(metrics.get("forebay_files_removed_total", &[])?, files);
    writer.stop().await
}

/// Gives its last dataset a data ID that the merge finds no parent of.
fn refuse_in_merge(event: &mut Event) -> Result<()> {
    let last = event.paths().len() - 1;
    let file = event.file(last)?;
    let refs = file["refs"].as_object_mut().context("references")?;
    for reference in refs.values_mut() {
        reference["data_id"]["detector"] = 9999.into();
    }
    Ok(())
}

#[tokio::test]
async fn files_staged_in_a_directory_are_checked_copied_and_removed() -> Result<()> {
    mixed(Kind::Directory).await
}

#[tokio::test]
async fn files_staged_in_a_bucket_are_checked_copied_and_removed() -> Result<()> {
    mixed(Kind::Bucket).await
}

/// What is in a final place stays. With the same bytes that is as good as a copy.
async fn occupied(kind: Kind) -> Result<()> {
    let site = Site::create(kind, "occupied").await?;
    let mut events = site.events[..4].to_vec();
    for event in &mut events {
        event.truncate(5);
        fill(&site.staging_root(), event)?;
    }
    let same = events[0].paths().remove(0);
    put(&site.root(), &same, &bytes_of(&same))?;
    let other = events[1].paths().remove(3);
    let theirs = bytes_of(&other).to_ascii_uppercase();
    put(&site.root(), &other, &theirs)?;
    // Staged and merged before, as far as the files show it; the second is not what it is said to be.
    for number in [2, 3] {
        let path = events[number].paths().remove(2);
        fs::remove_file(site.staging_root().join(&path))?;
        put(&site.root(), &path, &bytes_of(&path))?;
        let said = if number == 2 { bytes_of(&path) } else { theirs.clone() };
        events[number].promise(2, &said)?;
    }
    let sent = site.send(&events).await?;
    let mut writer = site.start(site.staging())?;
    site.wait_until_merged(&sent, &writer).await?;
    site.wait_until_removed(&writer).await?;
    let dead = site.dead_letters().await?;
    assert_eq!(dead.len(), 2, "{dead:#?}");
    assert_eq!((dead[0].event, dead[0].sqlstate.as_str()), (sent[1], "FB007"));
    ensure!(dead[0].message.contains("is not overwritten"), "{dead:?}");
    assert_eq!((dead[1].event, dead[1].sqlstate.as_str()), (sent[3], "FB006"));
    for number in [0, 2] {
        site.check_merged(&events[number]).await?;
        check_all(&site.root(), &events[number])?;
        assert_eq!(site.datasets(&events[number + 1]).await?, 0);
    }
    assert_eq!(get(&site.root(), &other), Some(theirs));
    assert_eq!(get(&site.staging_root(), &other), Some(bytes_of(&other)));
    let mut left = all_paths([&events[1], &events[3]]);
    left.retain(|path| *path != events[3].paths()[2]);
    assert_eq!(files_below(&site.staging_root())?, left);
    writer.stop().await
}

#[tokio::test]
async fn nothing_in_a_directory_is_overwritten() -> Result<()> {
    occupied(Kind::Directory).await
}

#[tokio::test]
async fn nothing_in_a_bucket_is_overwritten() -> Result<()> {
    occupied(Kind::Bucket).await
}
