//! A file that is larger than the memory of the writer.

use std::{fs, io::Write as _};

use anyhow::{Result, ensure};
use forebay_tests::memory;
use openssl::hash::{Hasher, MessageDigest};
use serde_json::json;

use crate::site::{Kind, Site, files_below, fill};

const CHUNK: usize = 1 << 20;
const CHUNKS: usize = 192;

/// It is summed up, copied, and summed up again.
async fn copied(kind: Kind) -> Result<()> {
    let site = Site::create(kind, "huge").await?;
    let mut event = site.events[0].clone();
    event.truncate(20);
    fill(&site.staging_root(), &event)?;
    let path = event.paths().remove(0);
    let mut file = fs::File::create(site.staging_root().join(&path))?;
    let mut hasher = Hasher::new(MessageDigest::sha256())?;
    for number in 0..CHUNKS {
        let chunk = vec![u8::try_from(number)?; CHUNK];
        file.write_all(&chunk)?;
        hasher.update(&chunk)?;
    }
    let expected = hasher.finish()?;
    let bytes = fs::read(site.staging_root().join(&path))?;
    event.promise(0, &bytes)?;
    event.file(0)?["file_size"] = json!(CHUNK * CHUNKS);
    drop(bytes);
    let sent = site.send(std::slice::from_ref(&event)).await?;
    let mut writer = site.start(site.staging())?;
    site.wait_until_merged(&sent, &writer).await?;
    site.wait_until_removed(&writer).await?;
    let peak = memory::peak_mib(writer.id())?;
    writer.stop().await?;
    site.check_merged(&event).await?;
    ensure!(files_below(&site.staging_root())?.is_empty());
    let copy = fs::read(site.root().join(&path))?;
    let found = openssl::hash::hash(MessageDigest::sha256(), &copy)?;
    ensure!(*found == *expected, "other bytes");
    println!("{kind:?}: {CHUNKS} MiB copied with {peak:.1} MiB");
    ensure!(peak < 64.0, "{peak} MiB");
    Ok(())
}

#[tokio::test]
async fn a_huge_file_in_a_directory_takes_no_memory() -> Result<()> {
    copied(Kind::Directory).await
}

#[tokio::test]
async fn a_huge_file_in_a_bucket_takes_no_memory() -> Result<()> {
    copied(Kind::Bucket).await
}
