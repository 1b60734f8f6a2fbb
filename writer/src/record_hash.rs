//! The hash by which a record is known again after its topic was deleted and made anew.

use twox_hash::xxhash3_128::Hasher;

/// XXH3-128 over key, then value, each after its length as 64-bit little endian (−1 if it is
/// null); the digest as 16 big-endian bytes.
pub fn record_hash(key: Option<&[u8]>, payload: Option<&[u8]>) -> [u8; 16] {
    let mut hasher = Hasher::new();
    for part in [key, payload] {
        match part {
            Some(bytes) => {
                hasher.write(&(bytes.len() as i64).to_le_bytes());
                hasher.write(bytes);
            }
            None => hasher.write(&(-1i64).to_le_bytes()),
        }
    }
    hasher.finish_128().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::record_hash;

    #[test]
    fn equals_the_hash_of_the_concatenation() {
        let mut flat = Vec::new();
        flat.extend_from_slice(&1i64.to_le_bytes());
        flat.extend_from_slice(b"k");
        flat.extend_from_slice(&(-1i64).to_le_bytes());
        let whole = twox_hash::XxHash3_128::oneshot(&flat).to_be_bytes();
        assert_eq!(record_hash(Some(b"k"), None), whole);
    }

    #[test]
    fn knows_the_algorithm() {
        // XXH3-128 of the empty input, from the reference implementation.
        assert_eq!(twox_hash::XxHash3_128::oneshot(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
    }

    #[test]
    fn tells_null_from_empty_and_key_from_value() {
        let all = [
            record_hash(None, None),
            record_hash(Some(b""), None),
            record_hash(None, Some(b"")),
            record_hash(Some(b""), Some(b"")),
            record_hash(Some(b"ab"), Some(b"c")),
            record_hash(Some(b"a"), Some(b"bc")),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one));
        }
    }
}
