//! Regions against the official library: what it encodes them as, and the pixels that it finds for
//! them. The regions are those of the sample's events, and random ones, new in every run.
//!
//! `FOREBAY_TEST_SEED` repeats a run.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    ops::Range,
    process::Stdio,
};

use anyhow::{Context, Result, bail, ensure};
use forebay_tests::{butler_client, butler_sample};
use forebay_writer::sphgeom::Region;
use serde_json::Value;

/// Random polygons of each of thirteen families. Others are a quarter as many.
const COUNT: u32 = 2000;

#[test]
fn pixels_and_encodings_are_the_librarys() -> Result<()> {
    let seed = std::env::var("FOREBAY_TEST_SEED").ok().map(|seed| seed.parse()).transpose()?;
    let seed: u32 = seed.unwrap_or_else(rand::random);
    println!("FOREBAY_TEST_SEED={seed}");
    let given = regions_of_sample()?;
    ensure!(given.len() == 380, "{} regions in the sample", given.len());

    let mut library = butler_client::program("region_envelopes.py")?
        .args(["--seed", &seed.to_string(), "--count", &COUNT.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start the library")?;
    let lines: String = given.iter().map(|region| format!("{region}\n")).collect();
    library.stdin.take().context("no input")?.write_all(lines.as_bytes())?;

    let mut tally = Tally::default();
    for line in BufReader::new(library.stdout.take().context("no output")?).lines() {
        let line = line?;
        let columns: Vec<_> = line.split('\t').collect();
        let [family, digits, encoded, ranges] = columns[..] else { bail!("not a line: {line}") };
        tally.add(
            family,
            compare(digits, encoded, ranges).with_context(|| {
                format!("FOREBAY_TEST_SEED={seed}: a region of the family {family}: {digits}")
            })?,
        );
    }
    ensure!(library.wait()?.success(), "the library failed");
    println!("{tally}");
    tally.check()
}

/// Compares with what the library says. The number of pixels.
fn compare(digits: &str, encoded: &str, ranges: &str) -> Result<u64> {
    let region = Region::decode_hex(digits)?;
    ensure!(region.encoded_base64() == encoded, "encoded as {}", region.encoded_base64());
    let envelope = region.envelope(7)?;
    let expected = ranges
        .split(',')
        .filter(|range| !range.is_empty())
        .map(range)
        .collect::<Result<Vec<_>>>()?;
    if envelope.ranges() != expected {
        let missing: Vec<_> = difference(&expected, envelope.ranges());
        let added: Vec<_> = difference(envelope.ranges(), &expected);
        bail!("the envelope lacks {missing:?} and has {added:?}");
    }
    Ok(envelope.len())
}

fn range(text: &str) -> Result<Range<u64>> {
    let (start, end) = text.split_once('-').context("not a range")?;
    Ok(start.parse()?..end.parse()?)
}

/// The first pixels that only one side has.
fn difference(ours: &[Range<u64>], theirs: &[Range<u64>]) -> Vec<u64> {
    let is_theirs = |pixel: &u64| theirs.iter().any(|range| range.contains(pixel));
    ours.iter().cloned().flatten().filter(|pixel| !is_theirs(pixel)).take(10).collect()
}

/// The regions of the sample's dimension records, each once.
fn regions_of_sample() -> Result<BTreeSet<String>> {
    let mut regions = BTreeSet::new();
    for event in butler_sample::events()? {
        let event: Value = serde_json::from_slice(&event)?;
        let records = event["dimension_records"].as_array().context("dimension records")?;
        let found = records.iter().filter_map(|record| record["record"]["region"].as_str());
        regions.extend(found.map(str::to_owned));
    }
    Ok(regions)
}

/// Regions and pixels of each family.
#[derive(Default)]
struct Tally(BTreeMap<String, (u64, u64)>);

impl Tally {
    fn add(&mut self, family: &str, pixels: u64) {
        let (regions, all_pixels) = self.0.entry(family.to_owned()).or_default();
        *regions += 1;
        *all_pixels += pixels;
    }

    /// Checks that there was something to compare.
    fn check(&self) -> Result<()> {
        let regions: u64 = self.0.values().map(|(regions, _)| regions).sum();
        ensure!(regions > 10_000, "only {regions} regions");
        let empty = self.0.iter().find(|(_, (regions, pixels))| pixels < regions);
        ensure!(empty.is_none(), "too few pixels: {empty:?}");
        Ok(())
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for (family, (regions, pixels)) in &self.0 {
            writeln!(text, "{family}: {regions} regions, {pixels} pixels")?;
        }
        f.write_str(text.trim_end())
    }
}
