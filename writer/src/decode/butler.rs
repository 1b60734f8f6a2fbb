//! Format `butler`: Rubin's `pp-output` events.
//!
//! An event has dimension records, which are rows of the tables of their elements, and datasets,
//! which are staged as rows of `forebay.butler_ref`, for `forebay.butler_resolve` to turn them into
//! rows of the registry's tables.

mod chain;
mod data_id;
mod dataset;
mod dataset_type;
mod dimension_record;
mod envelopes;
mod file;
mod integral;
mod not_finite;
mod path;
mod region;
mod repository;
mod storage_class;
mod timespan;

use super::{FormatError, RowWriter};
use crate::catalog::{Catalog, TargetIndex};
use crate::json::{Json, malformed, set_once, utf8, visit_object};
use crate::record::Record;
use crate::rejection::{Rejection, SqlState};

pub use file::{Checksum, EventFile, files_of};
pub use path::DatastoreRoot;

use dataset::DatasetWriter;
use dataset_type::Definitions;
use envelopes::Envelopes;
use repository::Repository;
use storage_class::StorageClasses;

/// How the format `butler` is to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ButlerConfig {
    /// The schema of the Butler repository.
    pub schema: String,
    /// What `dataset_location.datastore_name` is.
    pub datastore_name: String,
    /// The datastore's root, for events with absolute paths.
    pub datastore_root: DatastoreRoot,
    /// Storage classes of which either may stand for the other.
    pub convertible: Vec<[String; 2]>,
    /// Storage classes that the repository has beside the official client's own.
    pub storage_classes: Vec<String>,
}

/// The format `butler` into one repository.
#[derive(Debug, Clone)]
pub struct Butler {
    repository: Repository,
    envelopes: Envelopes,
    datastore_name: String,
    datastore_root: DatastoreRoot,
    /// With a blank between, both ways.
    convertible: Vec<String>,
    storage_classes: StorageClasses,
}

/// What `forebay.butler_resolve` has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ButlerResolve {
    /// The schema of the Butler repository.
    pub schema: String,
    /// The target whose rows are dataset references: `forebay.butler_ref`.
    pub refs: TargetIndex,
    /// The target whose rows are operations on chains: `forebay.butler_chain`.
    pub chains: TargetIndex,
    /// Pairs of storage classes that may stand for each other, with a blank between.
    pub convertible: Vec<String>,
}

impl Butler {
    /// The format for the repository that the configuration names.
    pub(super) fn new(config: &ButlerConfig, catalog: &Catalog) -> Result<Self, FormatError> {
        let repository = Repository::find(&config.schema, catalog)?;
        let both_ways =
            |[one, other]: &[String; 2]| [format!("{one} {other}"), format!("{other} {one}")];
        Ok(Self {
            repository,
            envelopes: Envelopes::new(dimension_record::SKYPIX_LEVEL),
            datastore_name: config.datastore_name.clone(),
            datastore_root: config.datastore_root.clone(),
            convertible: config.convertible.iter().flat_map(both_ways).collect(),
            storage_classes: StorageClasses::new(&config.storage_classes),
        })
    }

    /// What resolving needs.
    pub(super) fn resolve(&self) -> ButlerResolve {
        ButlerResolve {
            schema: self.repository.schema().to_owned(),
            refs: self.repository.refs(),
            chains: self.repository.chains(),
            convertible: self.convertible.clone(),
        }
    }

    /// Writes the event's dimension records, its datasets, and what it asks of chains.
    pub(super) fn decode(
        &self,
        catalog: &Catalog,
        record: &Record<'_>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let payload = record.payload.ok_or_else(|| {
            Rejection::new(SqlState::NULL_VALUE_NOT_ALLOWED, "the message has no value")
        })?;
        let text = utf8(payload)?;
        let refused = match Event::read(text) {
            Ok(event) => return self.write(catalog, &event, rows),
            Err(refused) => refused,
        };
        let text = not_finite::replaced(text).ok_or(refused)?;
        Event::read(&text)
            .and_then(|event| self.write(catalog, &event, rows))
            .map_err(not_finite::restored)
    }

    fn write(
        &self,
        catalog: &Catalog,
        event: &Event<'_>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let (repository, records) = (&self.repository, event.dimension_records);
        dimension_record::write_all(catalog, repository, &self.envelopes, records, rows)?;
        let universe = self.repository.universe();
        let definitions = Definitions::read(event.dataset_types, universe, &self.storage_classes)?;
        let refs = self.repository.refs();
        let target = catalog.target(refs);
        let datastore = (self.datastore_name.as_str(), &self.datastore_root);
        let mut datasets = DatasetWriter::new(refs, target, universe, &definitions, datastore);
        datasets.write_all(event.datasets, rows)?;
        let Some(operations) = event.chains else { return Ok(()) };
        let chains = self.repository.chains();
        chain::write_all(chains, catalog.target(chains), operations, rows)
    }
}

/// The parts of an event. Other keys than theirs are ignored.
#[derive(Debug)]
struct Event<'a> {
    dimension_records: Json<'a>,
    dataset_types: Option<Json<'a>>,
    datasets: Json<'a>,
    chains: Option<Json<'a>>,
}

impl<'a> Event<'a> {
    fn read(text: &'a str) -> Result<Self, Rejection> {
        let (mut kind, mut dimension_records, mut dataset_types, mut datasets, mut chains) =
            (None, None, None, None, None);
        visit_object(text, |key, value| match &*key {
            "type" => set_once(&mut kind, "type", value),
            "dimension_records" => set_once(&mut dimension_records, "dimension_records", value),
            "dataset_types" => set_once(&mut dataset_types, "dataset_types", value),
            "datasets" => set_once(&mut datasets, "datasets", value),
            "chains" => set_once(&mut chains, "chains", value),
            _ => Ok(()),
        })?;
        let kind = required(kind, "type")?.string()?;
        if kind != "pp-output" {
            return Err(malformed(format!("type is {kind:?}, not \"pp-output\"")));
        }
        Ok(Self {
            dimension_records: required(dimension_records, "dimension_records")?,
            dataset_types,
            datasets: required(datasets, "datasets")?,
            chains,
        })
    }
}

/// The value of a key that an object must have.
fn required<'a>(value: Option<Json<'a>>, key: &str) -> Result<Json<'a>, Rejection> {
    value.ok_or_else(|| malformed(format!("key \"{key}\" is missing")))
}

#[cfg(test)]
mod tests;
