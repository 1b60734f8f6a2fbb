//! What the database says about the registered targets: columns, types, keys.

mod column;
mod load;
mod target;

use std::collections::HashMap;

use forebay_butler::Attributes;

pub use column::Column;
pub use load::CatalogError;
pub use target::{CopyFormat, OnConflict, Target};

/// Names a target of one [`Catalog`]. It means nothing to another catalog: drop batches and
/// formats when the catalog is loaded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetIndex(pub(crate) usize);

/// The registered targets of a database, as they were when it was loaded.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    targets: Vec<Target>,
    /// `schema.table` → index; none if two tables share the spelling (names may hold dots).
    by_name: HashMap<String, Option<TargetIndex>>,
    by_relation: HashMap<u32, TargetIndex>,
    butler: Attributes,
    other_overlaps: Vec<String>,
}

impl Catalog {
    /// A catalog of these targets.
    pub fn new(targets: Vec<Target>) -> Self {
        let mut catalog = Self::default();
        for (index, target) in targets.iter().enumerate() {
            let index = TargetIndex(index);
            catalog.by_relation.insert(target.relation(), index);
            catalog
                .by_name
                .entry(target.qualified_name().to_owned())
                .and_modify(|found| *found = None)
                .or_insert(Some(index));
        }
        catalog.targets = targets;
        catalog
    }

    /// The same catalog, with what the Butler repository that is written says of itself.
    #[must_use]
    pub fn with_butler(self, butler: Attributes) -> Self {
        Self { butler, ..self }
    }

    /// What the Butler repository that is written says of itself; nothing if none is.
    pub fn butler(&self) -> &Attributes {
        &self.butler
    }

    /// The same catalog, with the dimension elements whose regions have overlaps with pixels that the
    /// writer does not compute.
    #[must_use]
    pub fn with_other_overlaps(self, elements: Vec<String>) -> Self {
        Self { other_overlaps: elements, ..self }
    }

    /// Whether the regions of a dimension element have overlaps with pixels that the writer does not
    /// compute.
    pub fn has_other_overlaps(&self, element: &str) -> bool {
        self.other_overlaps.iter().any(|other| other == element)
    }

    /// The target of this name, spelt `schema.table` without quotes, if it is registered.
    pub fn find(&self, schema_qualified: &str) -> Option<TargetIndex> {
        self.by_name.get(schema_qualified).copied().flatten()
    }

    /// The target of this relation, if it is registered.
    pub fn find_relation(&self, relation: u32) -> Option<TargetIndex> {
        self.by_relation.get(&relation).copied()
    }

    /// The target of this index.
    ///
    /// # Panics
    /// If the index is of another catalog.
    pub fn target(&self, index: TargetIndex) -> &Target {
        &self.targets[index.0]
    }

    /// All targets, in the order of their registration.
    pub fn targets(&self) -> impl Iterator<Item = (TargetIndex, &Target)> {
        self.targets.iter().enumerate().map(|(index, target)| (TargetIndex(index), target))
    }
}
