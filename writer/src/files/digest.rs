//! The checksum of a file's bytes: BLAKE2b of 512 bits, as the official client computes it.

use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};

use super::look::StoreError;
use crate::decode::Checksum;

/// Bytes, being summed up.
pub struct Digest(Hasher);

impl Digest {
    /// Of no byte yet.
    ///
    /// # Errors
    /// If OpenSSL does not have the algorithm.
    pub fn new() -> Result<Self, StoreError> {
        let algorithm = MessageDigest::from_name("blake2b512").ok_or_else(|| missing("unknown"))?;
        Hasher::new(algorithm).map(Self).map_err(failed)
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.update(bytes).map_err(failed)
    }

    /// The checksum of all.
    pub fn finish(mut self) -> Result<Checksum, StoreError> {
        let digest = self.0.finish().map_err(failed)?;
        let bytes = <[u8; 64]>::try_from(&*digest).map_err(|_| missing("of another length"))?;
        Ok(Checksum(Box::new(bytes)))
    }
}

fn failed(error: ErrorStack) -> StoreError {
    missing(&error.to_string())
}

fn missing(said: &str) -> StoreError {
    StoreError::new("compute a BLAKE2b checksum by OpenSSL", said)
}

#[cfg(test)]
mod tests {
    use super::Digest;

    /// `hashlib.blake2b(b"abc").hexdigest()`
    #[test]
    fn is_that_of_the_client() {
        let mut digest = Digest::new().unwrap();
        digest.add(b"a").unwrap();
        digest.add(b"bc").unwrap();
        assert_eq!(
            digest.finish().unwrap().to_string(),
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1\
             7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
        );
    }
}
