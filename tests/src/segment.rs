//! The file in which a broker keeps a partition, to be damaged.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::Topic;

/// Base offset and length, in front of every batch.
const HEADER: usize = 12;

/// A partition's first segment.
#[derive(Debug, Clone)]
pub struct Segment {
    path: PathBuf,
}

/// A batch of records in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Its first record's offset.
    pub base_offset: i64,
    /// Its last record's offset.
    pub last_offset: i64,
    /// Where it begins in the file, in bytes.
    pub position: u64,
    /// Its length, in bytes.
    pub length: u64,
}

impl Segment {
    /// The first segment of a partition of a broker with this directory.
    #[must_use]
    pub fn of(broker: &Path, topic: &Topic, partition: i32) -> Self {
        let directory = format!("{}-{partition}", topic.name());
        Self { path: broker.join("log").join(directory).join("00000000000000000000.log") }
    }

    /// Its batches, in order.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or is not what a broker writes.
    pub fn batches(&self) -> Result<Vec<Batch>> {
        let bytes = fs::read(&self.path).with_context(|| self.path.display().to_string())?;
        let mut batches = Vec::new();
        let mut position = 0;
        while let Some(header) = bytes.get(position..position + HEADER) {
            let base_offset = i64::from_be_bytes(header[..8].try_into()?);
            let length = HEADER + usize::try_from(i32::from_be_bytes(header[8..].try_into()?))?;
            // The difference to the last offset follows leader epoch, magic, checksum, attributes.
            let delta = bytes.get(position + 23..position + 27).context("the batch's header")?;
            let last_offset = base_offset + i64::from(i32::from_be_bytes(delta.try_into()?));
            batches.push(Batch {
                base_offset,
                last_offset,
                position: position as u64,
                length: length as u64,
            });
            position += length;
        }
        Ok(batches)
    }

    /// Flips the lowest bit of one byte.
    ///
    /// # Errors
    ///
    /// If the file can't be written, or does not have it.
    pub fn flip(&self, position: u64) -> Result<()> {
        let file = File::options().read(true).write(true).open(&self.path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, position)?;
        file.write_all_at(&[byte[0] ^ 1], position)?;
        Ok(())
    }

    /// Cuts the file off before the batch that has this offset. The broker must not run.
    ///
    /// # Errors
    ///
    /// If there is none such, or the file can't be written.
    pub fn cut_before(&self, offset: i64) -> Result<()> {
        let batch = self.batches()?.into_iter().find(|batch| batch.last_offset >= offset);
        let batch = batch.with_context(|| format!("no batch with offset {offset}"))?;
        ensure!(batch.base_offset == offset, "offset {offset} is not a batch's first");
        File::options().write(true).open(&self.path)?.set_len(batch.position)?;
        Ok(())
    }
}
