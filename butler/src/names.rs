//! Names of constraints and indexes, as the official client makes them.

use blake2::digest::consts::U4;
use blake2::{Blake2b, Digest as _};

/// PostgreSQL cuts longer names.
const LONGEST: usize = 63;

/// What is kept of a name that is too long, before `_` and the hash.
const KEPT: usize = 54;

/// A name as it is, or, if it is too long, its first 54 characters, `_`, and four bytes of BLAKE2b in
/// hexadecimal digits.
#[must_use]
pub fn shrink(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let kept: String = name.chars().take(KEPT).collect();
    format!("{kept}_{}", hash(name))
}

fn hash(name: &str) -> String {
    Blake2b::<U4>::digest(name).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A foreign key from columns of one table to columns of another.
#[must_use]
pub fn foreign_key(table: &str, referenced: &str, targets: &[&str], sources: &[&str]) -> String {
    let parts = [&["fkey", table, referenced], targets, sources].concat();
    shrink(&parts.join("_"))
}

/// A unique constraint.
#[must_use]
pub fn unique(table: &str, columns: &[&str]) -> String {
    shrink(&[&[table, "unq"], columns].concat().join("_"))
}

/// An index.
#[must_use]
pub fn index(table: &str, columns: &[&str]) -> String {
    shrink(&[&[table, "idx"], columns].concat().join("_"))
}

/// The index under a foreign key.
#[must_use]
pub fn foreign_key_index(table: &str, columns: &[&str]) -> String {
    shrink(&[&[table, "fkidx"], columns].concat().join("_"))
}

#[cfg(test)]
mod tests {
    use super::{foreign_key, shrink, unique};

    #[test]
    fn short_names_stay() {
        let name = "fkey_dataset_tags_00000001_dataset_id_dataset_id";
        assert_eq!(shrink(name), name);
    }

    /// The names that the official client has made.
    #[test]
    fn long_names_end_in_a_hash() {
        assert_eq!(
            foreign_key(
                "dataset_tags_00000002",
                "collection",
                &["collection_id"],
                &["collection_id"]
            ),
            "fkey_dataset_tags_00000002_collection_collection_id_co_e172bb21"
        );
        let columns = ["dataset_type_id", "collection_id", "instrument", "detector", "visit"];
        assert_eq!(
            unique("dataset_tags_00000001", &columns),
            "dataset_tags_00000001_unq_dataset_type_id_collection_i_80218d50"
        );
        let ids = ["collection_id", "dataset_type_id"];
        let long =
            foreign_key("dataset_tags_00000001", "collection_summary_dataset_type", &ids, &ids);
        assert!(long.ends_with("_dataset__a5a0c112"), "{long}");
        assert_eq!(
            foreign_key(
                "dataset_tags_00000001",
                "detector",
                &["instrument", "id"],
                &["instrument", "detector"]
            ),
            "fkey_dataset_tags_00000001_detector_instrument_id_inst_e7adeffb"
        );
    }
}
