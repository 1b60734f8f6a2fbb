//! The targets of one Butler repository.

use std::collections::HashMap;

use super::super::FormatError;
use crate::catalog::{Catalog, Column, OnConflict, Target, TargetIndex};

/// Where datasets are staged.
const REFS: &str = "forebay.butler_ref";

/// The columns of [`REFS`] that this writer fills.
const REF_COLUMNS: [&str; 8] = [
    "id",
    "dataset_type",
    "run",
    "data_id",
    "storage_class",
    "datastore_name",
    "path",
    "formatter",
];

/// The registered targets of the repository in one schema, by the part that they play.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    schema: String,
    elements: HashMap<String, TargetIndex>,
    resolved: Vec<TargetIndex>,
    refs: TargetIndex,
}

impl Repository {
    /// Finds the targets, and checks that they can be written.
    pub fn find(schema: &str, catalog: &Catalog) -> Result<Self, FormatError> {
        let refs = find_refs(catalog)?;
        let mut elements = HashMap::new();
        let mut resolved = Vec::new();
        for (index, target) in catalog.targets().filter(|(_, target)| target.schema() == schema) {
            if is_resolved(target.name()) {
                resolved.push(index);
            } else if is_element(target) {
                check(target)?;
                elements.insert(target.name().to_owned(), index);
            }
        }
        if elements.is_empty() && resolved.is_empty() {
            return Err(FormatError::NoButler(schema.to_owned()));
        }
        for table in ["dataset", "dataset_location", "file_datastore_records"] {
            let name = format!("{schema}.{table}");
            if catalog.find(&name).is_none() {
                return Err(FormatError::UnknownTarget(name));
            }
        }
        Ok(Self { schema: schema.to_owned(), elements, resolved, refs })
    }

    /// The schema's name.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The target that has the records of this dimension element, if it is registered.
    pub fn element(&self, name: &str) -> Option<TargetIndex> {
        self.elements.get(name).copied()
    }

    /// The targets that datasets end in.
    pub fn resolved(&self) -> &[TargetIndex] {
        &self.resolved
    }

    /// The target in which datasets are staged.
    pub fn refs(&self) -> TargetIndex {
        self.refs
    }
}

fn find_refs(catalog: &Catalog) -> Result<TargetIndex, FormatError> {
    let index = catalog.find(REFS).ok_or_else(|| FormatError::UnknownTarget(REFS.to_owned()))?;
    let target = catalog.target(index);
    check(target)?;
    let names = target.columns().iter().map(|column| column.name.as_str());
    if !names.clone().eq(REF_COLUMNS) {
        let names: Vec<_> = names.collect();
        let reason = format!("its columns are {names:?}; this writer fills {REF_COLUMNS:?}");
        return Err(unsupported(target, &reason));
    }
    Ok(index)
}

/// The format writes no other values than those that have an encoder.
fn check(target: &Target) -> Result<(), FormatError> {
    if let Some(reason) = target.unsupported() {
        return Err(unsupported(target, reason));
    }
    match target.columns().iter().find(|column| column.encoder.is_none()) {
        None => Ok(()),
        Some(Column { name, type_name, .. }) => {
            let reason = format!("column \"{name}\" has type {type_name}, which has no encoder");
            Err(unsupported(target, &reason))
        }
    }
}

fn unsupported(target: &Target, reason: &str) -> FormatError {
    FormatError::Unsupported {
        target: target.qualified_name().to_owned(),
        reason: reason.to_owned(),
    }
}

/// Whether this is a table that datasets end in.
fn is_resolved(table: &str) -> bool {
    matches!(table, "dataset" | "dataset_location" | "file_datastore_records")
        || table.starts_with("dataset_tags_")
        || table.starts_with("collection_summary_")
}

/// Whether this can be the table of a dimension element: no table of the registry itself, nor one
/// that follows from the records of others.
fn is_element(target: &Target) -> bool {
    let name = target.name();
    let is_of_registry = ["butler_", "collection", "dataset", "dimension_graph_", "opaque_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || name == "run"
        || name.ends_with("_overlap")
        || name.ends_with("_overlap_summary");
    *target.on_conflict() == OnConflict::Ignore && !is_of_registry
}
