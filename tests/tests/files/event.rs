//! The sample's events, with other words about their files.

use anyhow::{Context, Result};
use openssl::hash::{MessageDigest, hash};
use serde_json::{Value, json};

/// An event whose files can be changed.
#[derive(Clone)]
pub struct Event(Value);

impl Event {
    /// With shorter paths: the S3 server of the tests takes no long keys.
    pub fn read(payload: &[u8]) -> Result<Self> {
        let mut event: Value = serde_json::from_slice(payload)?;
        for file in event["datasets"].as_array_mut().context("datasets")? {
            let refs = file["refs"].as_object().context("references")?;
            let (id, reference) = refs.iter().next().context("no reference")?;
            let dataset_type = reference["dataset_type_name"].as_str().context("no type")?;
            file["path"] = format!("run/{dataset_type}/{id} ü?.fits").into();
        }
        Ok(Self(event))
    }

    pub fn payload(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }

    /// Its paths, in its order.
    pub fn paths(&self) -> Vec<String> {
        let path = |file: &Value| file["path"].as_str().unwrap_or_default().to_owned();
        self.files().iter().map(path).collect()
    }

    /// The ids of its datasets.
    pub fn ids(&self) -> Vec<String> {
        let refs = self.files().iter().filter_map(|file| file["refs"].as_object());
        refs.flat_map(|refs| refs.keys().cloned()).collect()
    }

    /// One of its files.
    pub fn file(&mut self, number: usize) -> Result<&mut Value> {
        self.0["datasets"].get_mut(number).context("no such file")
    }

    /// Says of a file what bytes it has.
    pub fn promise(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let digest = hash(MessageDigest::from_name("blake2b512").context("blake2b512")?, bytes)?;
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let file = self.file(number)?;
        file["file_size"] = json!(bytes.len());
        file["checksum"] = json!(digits);
        Ok(())
    }

    /// Leaves so many of its files.
    pub fn truncate(&mut self, count: usize) {
        if let Some(files) = self.0["datasets"].as_array_mut() {
            files.truncate(count);
        }
    }

    fn files(&self) -> &[Value] {
        self.0["datasets"].as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

/// The bytes of the file of this path, which no other has.
pub fn bytes_of(path: &str) -> Vec<u8> {
    format!("the bytes of {path}").into_bytes()
}
