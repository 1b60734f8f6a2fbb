//! The targets of one Butler repository.

use std::collections::HashMap;

use forebay_butler::{Element, Universe};

use super::super::FormatError;
use crate::catalog::{Catalog, Column, Target, TargetIndex};

/// Where datasets are staged.
const REFS: &str = "forebay.butler_ref";

/// The columns of [`REFS`] that this writer fills.
const REF_COLUMNS: [&str; 13] = [
    "id",
    "dataset_type",
    "run",
    "data_id",
    "storage_class",
    "dimensions",
    "is_calibration",
    "file",
    "file_dataset_type",
    "file_storage_class",
    "datastore_name",
    "path",
    "formatter",
];

/// Where operations on chains are staged.
const CHAINS: &str = "forebay.butler_chain";

/// The columns of [`CHAINS`] that this writer fills.
const CHAIN_COLUMNS: [&str; 3] = ["operation", "parent", "children"];

/// Tables that datasets end in, beside those that follow from dimensions.
const DATASET_TABLES: [&str; 4] =
    ["dataset", "dataset_location", "file_datastore_records", "collection_summary_dataset_type"];

/// The registered targets of the repository in one schema, by the part that they play.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    schema: String,
    universe: Universe,
    elements: HashMap<String, ElementTargets>,
    refs: TargetIndex,
    chains: TargetIndex,
}

/// Where the records of a dimension element go.
#[derive(Debug, Clone)]
pub(super) struct ElementTargets {
    /// The element's own table.
    pub records: TargetIndex,
    /// The positions there of the columns that identify a record, by the dimensions that they stand
    /// for.
    pub key: Vec<(String, usize)>,
    /// Of a spatial element: the pixels that its regions overlap, and the position of the region.
    pub overlap: Option<(TargetIndex, usize)>,
    /// Whether its regions have overlaps with other pixels, too.
    pub has_other_overlaps: bool,
    /// Of a governor: which pixels the overlaps of each of its spatial elements are in.
    pub summaries: Vec<TargetIndex>,
}

impl Repository {
    /// Finds the targets, and checks that they can be written.
    pub fn find(schema: &str, catalog: &Catalog) -> Result<Self, FormatError> {
        let refs = find_own(catalog, REFS, &REF_COLUMNS)?;
        let chains = find_own(catalog, CHAINS, &CHAIN_COLUMNS)?;
        if catalog.find(&format!("{schema}.dataset")).is_none() {
            return Err(FormatError::NoButler(schema.to_owned()));
        }
        let problems = catalog.butler().problems();
        let universe = match catalog.butler().universe() {
            Ok(universe) if problems.is_empty() => universe,
            _ => {
                return Err(FormatError::UnsupportedButler { schema: schema.to_owned(), problems });
            }
        };
        for table in DATASET_TABLES {
            registered(catalog, schema, table)?;
        }
        let mut elements = HashMap::new();
        for element in universe.elements().filter(|element| element.has_table) {
            let targets = ElementTargets::find(schema, catalog, &universe, element)?;
            elements.insert(element.name.clone(), targets);
        }
        Ok(Self { schema: schema.to_owned(), universe, elements, refs, chains })
    }

    /// The schema's name.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Its dimensions.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// Where the records of this dimension element go; none if it has no table.
    pub fn element(&self, name: &str) -> Option<&ElementTargets> {
        self.elements.get(name)
    }

    /// The target in which datasets are staged.
    pub fn refs(&self) -> TargetIndex {
        self.refs
    }

    /// The target in which operations on chains are staged.
    pub fn chains(&self) -> TargetIndex {
        self.chains
    }
}

impl ElementTargets {
    fn find(
        schema: &str,
        catalog: &Catalog,
        universe: &Universe,
        element: &Element,
    ) -> Result<Self, FormatError> {
        let records = registered(catalog, schema, &element.name)?;
        let target = catalog.target(records);
        let mut key = Vec::new();
        for dimension in universe.own_required(element) {
            let own = element.keys.first().filter(|_| dimension.name == element.name);
            let column = own.map_or(&dimension.name, |key| &key.name);
            key.push((dimension.name.clone(), position(target, column)?));
        }
        let overlap = if element.is_spatial {
            let table = format!("{}_skypix_overlap", element.name);
            Some((registered(catalog, schema, &table)?, position(target, "region")?))
        } else {
            None
        };
        let is_governed = |spatial: &&Element| {
            spatial.is_spatial
                && element.is_governor
                && universe.governor(spatial).is_some_and(|governor| governor.name == element.name)
        };
        let summary = |spatial: &Element| {
            registered(catalog, schema, &format!("{}_skypix_overlap_summary", spatial.name))
        };
        let summaries = universe.elements().filter(is_governed).map(summary);
        Ok(Self {
            records,
            key,
            overlap,
            has_other_overlaps: catalog.has_other_overlaps(&element.name),
            summaries: summaries.collect::<Result<_, _>>()?,
        })
    }
}

/// One of the extension's own targets, which must have just the columns that are filled.
fn find_own(catalog: &Catalog, name: &str, filled: &[&str]) -> Result<TargetIndex, FormatError> {
    let index = catalog.find(name).ok_or_else(|| FormatError::UnknownTarget(name.to_owned()))?;
    let target = catalog.target(index);
    check(target)?;
    let names: Vec<_> = target.columns().iter().map(|column| column.name.as_str()).collect();
    if names != filled {
        let reason = format!("its columns are {names:?}; this writer fills {filled:?}");
        return Err(unsupported(target, &reason));
    }
    Ok(index)
}

fn registered(catalog: &Catalog, schema: &str, table: &str) -> Result<TargetIndex, FormatError> {
    let name = format!("{schema}.{table}");
    let index = catalog.find(&name).ok_or(FormatError::UnknownTarget(name))?;
    check(catalog.target(index))?;
    Ok(index)
}

fn position(target: &Target, column: &str) -> Result<usize, FormatError> {
    let found = target.columns().iter().position(|one| one.name == column);
    found.ok_or_else(|| unsupported(target, &format!("it has no column \"{column}\"")))
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
