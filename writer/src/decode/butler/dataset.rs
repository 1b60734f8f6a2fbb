//! Datasets: files with the references to what is in them, one staged row per reference.

use std::borrow::Cow;
use std::collections::HashSet;

use uuid::Uuid;

use super::data_id::encode_data_id;
use super::dataset_type::StorageClasses;
use super::path::check_path;
use super::required;
use crate::catalog::{Target, TargetIndex};
use crate::decode::{Op, RowWriter};
use crate::encode::{encode_text, field};
use crate::json::{Json, malformed, set_once, visit_array, visit_object};
use crate::rejection::{Rejection, SqlState};

/// Writes the datasets of one event.
pub(super) struct DatasetWriter<'a> {
    refs: TargetIndex,
    target: &'a Target,
    storage_classes: &'a StorageClasses<'a>,
    datastore_name: &'a str,
    seen: HashSet<Uuid>,
}

/// What the references of a file have in common.
struct File<'a> {
    path: Cow<'a, str>,
    formatter: Cow<'a, str>,
    /// Of the first reference's dataset type, if the event defines that.
    storage_class: Option<&'a str>,
    run: Option<Cow<'a, str>>,
}

impl<'a> DatasetWriter<'a> {
    pub fn new(
        refs: TargetIndex,
        target: &'a Target,
        storage_classes: &'a StorageClasses<'a>,
        datastore_name: &'a str,
    ) -> Self {
        Self { refs, target, storage_classes, datastore_name, seen: HashSet::new() }
    }

    /// Writes the references of all files, in their order.
    pub fn write_all(
        &mut self,
        datasets: Json<'a>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        visit_array(datasets.text(), |index, dataset| {
            self.write_file(dataset, rows)
                .map_err(|rejection| rejection.within(format_args!("datasets[{index}]")))
        })
    }

    fn write_file(&mut self, dataset: Json<'a>, rows: &mut RowWriter<'_>) -> Result<(), Rejection> {
        let (mut refs, mut path, mut formatter) = (None, None, None);
        visit_object(dataset.text(), |key, value| match &*key {
            "refs" => set_once(&mut refs, "refs", value),
            "path" => set_once(&mut path, "path", value),
            "formatter" => set_once(&mut formatter, "formatter", value),
            _ => Ok(()),
        })?;
        let refs = required(refs, "refs")?;
        let path = required(path, "path")?.string()?;
        check_path(&path)?;
        let formatter = required(formatter, "formatter")?;
        if formatter.is_null() {
            return Err(Rejection::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "formatter is null, and the datastore's configuration is not known here",
            ));
        }
        let formatter = formatter.string()?;
        if formatter.is_empty() {
            return Err(Rejection::new(SqlState::INVALID_PARAMETER_VALUE, "formatter is empty"));
        }
        let mut file = File { path, formatter, storage_class: None, run: None };
        visit_object(refs.text(), |id, reference| {
            self.write_ref(&id, reference, &mut file, rows)
                .map_err(|rejection| rejection.within(format_args!("refs[{id:?}]")))
        })?;
        match file.run {
            Some(_) => Ok(()),
            None => Err(malformed("refs is empty")),
        }
    }

    fn write_ref(
        &mut self,
        id: &str,
        reference: Json<'a>,
        file: &mut File<'a>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let (mut dataset_type, mut run, mut data_id) = (None, None, None);
        visit_object(reference.text(), |key, value| match &*key {
            "dataset_type_name" => set_once(&mut dataset_type, "dataset_type_name", value),
            "run" => set_once(&mut run, "run", value),
            "data_id" => set_once(&mut data_id, "data_id", value),
            _ => Ok(()),
        })?;
        let dataset_type = required(dataset_type, "dataset_type_name")?.string()?;
        let run = required(run, "run")?.string()?;
        let data_id = required(data_id, "data_id")?;
        let id = Uuid::parse_str(id).map_err(|_| malformed("not a UUID"))?;
        if !self.seen.insert(id) {
            return Err(Rejection::new(
                SqlState::UNIQUE_VIOLATION,
                format!("dataset {id} comes twice in the event"),
            ));
        }
        match &file.run {
            None => {
                file.storage_class = self.storage_classes.get(&dataset_type);
                file.run = Some(run.clone());
            }
            Some(first) if *first != run => {
                return Err(malformed(format!(
                    "a file has datasets in runs {first:?} and {run:?}"
                )));
            }
            Some(_) => {}
        }
        // In the order of REF_COLUMNS, which the target was checked for.
        rows.row(self.refs, self.target, Op::Upsert, None, |position, _, out| {
            match position {
                0 => field::fixed(id.as_bytes(), out),
                1 => return encode_text(&dataset_type, out),
                2 => return encode_text(&run, out),
                3 => return encode_data_id(data_id, out),
                4 => match file.storage_class {
                    Some(class) => return encode_text(class, out),
                    None => field::null(out),
                },
                5 => return encode_text(self.datastore_name, out),
                6 => return encode_text(&file.path, out),
                _ => return encode_text(&file.formatter, out),
            }
            Ok(())
        })
    }
}
