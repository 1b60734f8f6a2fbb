//! What was refused is not told of, whoever refused it.

use anyhow::{Context, Result};
use forebay_tests::{Stack, Writer};
use serde_json::{Value, json};

use crate::{
    site::{SOURCE, Site, datasets_of},
    told::datasets,
};

/// A collection of the sample's repository that is no run.
const CHAIN: &str = "LSSTCam/prompt";

/// The event with its last dataset broken: those before it are good.
fn broken(event: &[u8], break_it: impl FnOnce(&mut Value, &mut Value)) -> Result<Vec<u8>> {
    let mut event: Value = serde_json::from_slice(event)?;
    let file = event["datasets"].as_array_mut().and_then(|files| files.last_mut());
    let file = file.context("no dataset")?;
    let refs = file["refs"].as_object().context("references")?.clone();
    let (id, mut reference) = refs.into_iter().next().context("no reference")?;
    let mut path = file["path"].clone();
    break_it(&mut reference, &mut path);
    file["refs"] = json!({ id: reference });
    file["path"] = path;
    Ok(serde_json::to_vec(&event)?)
}

#[tokio::test]
async fn datasets_of_rejected_events_are_not_told_of() -> Result<()> {
    let stack = Stack::from_env()?;
    let site = Site::create(&stack, "rejected", 1).await?;
    let mut payloads = site.events[..30].to_vec();
    // By decoding, by resolving, and by the merge itself.
    payloads[5] = broken(&payloads[5], |_, path| *path = "../x".into())?;
    payloads[11] = broken(&payloads[11], |reference, _| reference["run"] = CHAIN.into())?;
    payloads[17] = broken(&payloads[17], |reference, _| {
        reference["data_id"]["detector"] = 9999.into();
    })?;
    // One that is merged twice is told of once in a batch.
    payloads.push(payloads[3].clone());
    let sent = site.send(&payloads).await?;
    let mut writer = Writer::start(&stack, site.config())?;
    site.wait_until_merged(&sent).await?;
    let dead = site.database.dead_letters(SOURCE).await?;
    let offsets: Vec<i64> = dead.iter().map(|letter| letter.event.offset).collect();
    assert_eq!(offsets, [sent[5].offset, sent[11].offset, sent[17].offset], "{dead:#?}");

    let accepted = (0..30).filter(|number| ![5, 11, 17].contains(number));
    let expected = datasets_of(accepted.map(|number| &site.events[number]))?;
    writer.stop().await?;
    let mut heard = datasets(&site.heard().await?);
    assert_eq!(site.waiting().await?, 0, "a writer that ends publishes what it has merged");
    heard.dedup();
    assert_eq!(heard, expected);
    Ok(())
}
