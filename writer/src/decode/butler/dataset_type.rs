//! The dataset types that an event defines. Of these only the storage class matters here: what is
//! not registered, and whether definitions agree, the database says.

use std::borrow::Cow;
use std::collections::HashMap;

use super::required;
use crate::json::{Json, set_once, visit_array, visit_object};
use crate::rejection::{Rejection, SqlState};

/// Storage classes by the name of the dataset type.
#[derive(Debug, Default)]
pub(super) struct StorageClasses<'a>(HashMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> StorageClasses<'a> {
    /// Reads the event's `dataset_types`, which may be missing but not null.
    pub fn read(dataset_types: Option<Json<'a>>) -> Result<Self, Rejection> {
        let mut classes = HashMap::new();
        let Some(dataset_types) = dataset_types else { return Ok(Self(classes)) };
        visit_array(dataset_types.text(), |index, definition| {
            let within =
                |rejection: Rejection| rejection.within(format_args!("dataset_types[{index}]"));
            let (name, class) = read_definition(definition).map_err(within)?;
            match classes.insert(name.clone(), class.clone()) {
                Some(other) if other != class => Err(within(Rejection::new(
                    SqlState::UNIQUE_VIOLATION,
                    format!("dataset type {name:?} has storage class {class:?} and {other:?}"),
                ))),
                _ => Ok(()),
            }
        })?;
        Ok(Self(classes))
    }

    /// The storage class of this dataset type, if the event defines it.
    pub fn get(&self, dataset_type: &str) -> Option<&str> {
        self.0.get(dataset_type).map(|class| &**class)
    }
}

fn read_definition(definition: Json<'_>) -> Result<(Cow<'_, str>, Cow<'_, str>), Rejection> {
    let (mut name, mut class) = (None, None);
    visit_object(definition.text(), |key, value| match &*key {
        "name" => set_once(&mut name, "name", value),
        "storageClass" => set_once(&mut class, "storageClass", value),
        _ => Ok(()),
    })?;
    Ok((required(name, "name")?.string()?, required(class, "storageClass")?.string()?))
}
