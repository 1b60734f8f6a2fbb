//! What a repository says of itself, in `butler_attributes`.

use std::collections::BTreeMap;

use crate::universe::{Universe, UniverseError};

/// The attributes of a repository, by name.
#[derive(Debug, Clone, Default)]
pub struct Attributes(BTreeMap<String, String>);

/// A part of a repository: the key of its manager, the class that is known, and the versions that are
/// supported, as the beginning of what they are called.
struct Part {
    manager: &'static str,
    class: &'static str,
    version: &'static str,
}

const PARTS: [Part; 6] = [
    Part {
        manager: "attributes",
        class: "lsst.daf.butler.registry.attributes.DefaultButlerAttributeManager",
        version: "1.0.",
    },
    Part {
        manager: "collections",
        class: "lsst.daf.butler.registry.collections.synthIntKey.SynthIntKeyCollectionManager",
        version: "2.0.",
    },
    Part {
        manager: "datasets",
        class: "lsst.daf.butler.registry.datasets.byDimensions._manager.ByDimensionsDatasetRecordStorageManagerUUID",
        version: "2.0.0",
    },
    Part {
        manager: "dimensions",
        class: "lsst.daf.butler.registry.dimensions.static.StaticDimensionRecordStorageManager",
        version: "6.0.",
    },
    Part {
        manager: "datastores",
        class: "lsst.daf.butler.registry.bridge.monolithic.MonolithicDatastoreRegistryBridgeManager",
        version: "0.2.",
    },
    Part {
        manager: "opaque",
        class: "lsst.daf.butler.registry.opaque.ByNameOpaqueTableStorageManager",
        version: "0.2.",
    },
];

const MANAGERS: &str = "config:registry.managers.";
const UNIVERSE: &str = "config:dimensions.json";

/// The pixels that overlaps are computed in.
const COMMON_SKYPIX: &str = "htm7";

impl Attributes {
    /// Attributes by name.
    #[must_use]
    pub fn new(attributes: BTreeMap<String, String>) -> Self {
        Self(attributes)
    }

    /// The repository's dimension universe.
    ///
    /// # Errors
    /// If it has none, or one that is not understood.
    pub fn universe(&self) -> Result<Universe, UniverseError> {
        Universe::read(self.0.get(UNIVERSE).map_or("", String::as_str))
    }

    /// The managers of the repository's parts and their versions: key, class, version.
    pub fn managers(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().filter_map(|(name, class)| {
            Some((name.strip_prefix(MANAGERS)?, class.as_str(), self.version(class)))
        })
    }

    /// Why the repository is not one that Forebay writes; nothing if it is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for part in PARTS {
            let key = format!("{MANAGERS}{}", part.manager);
            let class = self.0.get(&key).map_or("missing", String::as_str);
            let version = self.version(class);
            if class != part.class {
                problems.push(format!(
                    "its manager of {} is {class}, not {}",
                    part.manager, part.class
                ));
            } else if !version.starts_with(part.version) {
                let supported = part.version.trim_end_matches('.');
                problems.push(format!("{class} has version {version}; supported is {supported}"));
            }
        }
        for (manager, class, _) in self.managers() {
            if PARTS.iter().all(|part| part.manager != manager) {
                problems
                    .push(format!("it has a manager of {manager}, {class}, which is not known"));
            }
        }
        match self.universe() {
            Err(error) => problems.push(error.to_string()),
            Ok(universe) if universe.common_skypix() != COMMON_SKYPIX => {
                let common = universe.common_skypix();
                problems
                    .push(format!("overlaps are stored in {common}; supported is {COMMON_SKYPIX}"));
            }
            Ok(_) => {}
        }
        problems
    }

    fn version(&self, class: &str) -> &str {
        self.0.get(&format!("version:{class}")).map_or("unknown", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Attributes;

    fn sample() -> BTreeMap<String, String> {
        let schema = include_str!("../../tests/data/butler/schema.sql");
        let (_, rows) = schema.split_once("COPY public.butler_attributes").unwrap();
        let lines = rows.lines().skip(1).take_while(|line| *line != "\\.");
        let pair = |line: &str| {
            let (name, value) = line.split_once('\t').unwrap();
            (name.to_owned(), value.replace("\\\\", "\\"))
        };
        lines.map(pair).collect()
    }

    #[test]
    fn the_samples_repository_is_supported() {
        let attributes = Attributes::new(sample());
        assert_eq!(attributes.problems(), Vec::<String>::new());
        assert_eq!(attributes.managers().count(), 6);
    }

    #[test]
    fn other_managers_and_versions_are_told() {
        let mut changed = sample();
        changed.insert("config:registry.managers.obscore".into(), "a.b.C".into());
        let key = "config:registry.managers.datasets";
        let class = changed[key].clone();
        changed.insert(format!("version:{class}"), "1.0.0".into());
        changed.remove("config:registry.managers.opaque");
        let problems = Attributes::new(changed).problems().join("\n");
        for told in ["obscore, a.b.C", "has version 1.0.0", "manager of opaque is missing"] {
            assert!(problems.contains(told), "{problems}");
        }
        assert_eq!(Attributes::default().problems().len(), 7);
    }
}
