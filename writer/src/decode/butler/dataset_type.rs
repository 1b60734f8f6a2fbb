//! The dataset types that an event defines. What is registered, and whether that agrees, the database
//! says.

use std::borrow::Cow;
use std::collections::HashMap;

use forebay_butler::{Universe, check_group, check_name};

use super::required;
use super::storage_class::StorageClasses;
use crate::json::{Json, Kind, malformed, set_once, visit_array, visit_object};
use crate::rejection::{Rejection, SqlState};

/// An event's definitions, by the name of the dataset type.
#[derive(Debug, Default)]
pub(super) struct Definitions<'a>(HashMap<Cow<'a, str>, Definition<'a>>);

/// What an event says of a dataset type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition<'a> {
    pub storage_class: Cow<'a, str>,
    /// The required ones of its group, in the universe's order, with commas; or what is wrong with the
    /// definition, which matters only if a dataset has the type.
    pub dimensions: Result<String, String>,
    pub is_calibration: bool,
}

impl<'a> Definitions<'a> {
    /// Reads the event's `dataset_types`, which may be missing but not null.
    pub fn read(
        dataset_types: Option<Json<'a>>,
        universe: &Universe,
        storage_classes: &StorageClasses,
    ) -> Result<Self, Rejection> {
        let mut definitions = HashMap::new();
        let Some(dataset_types) = dataset_types else { return Ok(Self(definitions)) };
        visit_array(dataset_types.text(), |index, definition| {
            let within =
                |rejection: Rejection| rejection.within(format_args!("dataset_types[{index}]"));
            let (name, definition) =
                Definition::read(definition, universe, storage_classes).map_err(within)?;
            match definitions.get(&name) {
                Some(other) if *other != definition => Err(within(Rejection::new(
                    SqlState::UNIQUE_VIOLATION,
                    format!("dataset type {name:?} is defined before, and otherwise"),
                ))),
                _ => {
                    definitions.insert(name, definition);
                    Ok(())
                }
            }
        })?;
        Ok(Self(definitions))
    }

    /// The definition of this dataset type, if the event has one.
    ///
    /// # Errors
    /// If nothing can be registered by it.
    pub fn get(&self, dataset_type: &str) -> Result<Option<&Definition<'a>>, Rejection> {
        let definition = self.0.get(dataset_type);
        match definition.map(|definition| &definition.dimensions) {
            Some(Err(problem)) => {
                Err(Rejection::new(SqlState::INVALID_PARAMETER_VALUE, problem.clone()))
            }
            _ => Ok(definition),
        }
    }
}

impl<'a> Definition<'a> {
    fn read(
        json: Json<'a>,
        universe: &Universe,
        storage_classes: &StorageClasses,
    ) -> Result<(Cow<'a, str>, Self), Rejection> {
        let (mut name, mut class, mut dimensions, mut calibration) = (None, None, None, None);
        visit_object(json.text(), |key, value| match &*key {
            "name" => set_once(&mut name, "name", value),
            "storageClass" => set_once(&mut class, "storageClass", value),
            "dimensions" => set_once(&mut dimensions, "dimensions", value),
            "isCalibration" => set_once(&mut calibration, "isCalibration", value),
            _ => Ok(()),
        })?;
        let name = required(name, "name")?.string()?;
        let storage_class = required(class, "storageClass")?.string()?;
        if storage_class.is_empty() {
            return Err(malformed("storageClass is empty"));
        }
        let mut names = Vec::new();
        visit_array(required(dimensions, "dimensions")?.text(), |_, dimension| {
            names.push(dimension.string()?);
            Ok(())
        })?;
        let is_calibration = match calibration.map(|value| value.kind()).transpose()? {
            None => false,
            Some(Kind::Bool(is_calibration)) => is_calibration,
            Some(other) => return Err(malformed(format!("isCalibration is {other}"))),
        };
        let dimensions = check_name(&name, universe)
            .map_err(|bad| bad.to_string())
            .and_then(|()| storage_classes.check(&storage_class))
            .and_then(|()| group(&names, universe));
        Ok((name, Self { storage_class, dimensions, is_calibration }))
    }
}

fn group(names: &[Cow<'_, str>], universe: &Universe) -> Result<String, String> {
    let required = universe.required(names.iter().map(|name| &**name));
    let required = required.map_err(|unknown| unknown.to_string())?;
    check_group(&required, universe).map_err(|bad| bad.to_string())?;
    Ok(required.iter().map(|element| element.name.as_str()).collect::<Vec<_>>().join(","))
}
