//! Datasets: files with the references to what is in them, one staged row per reference.

use std::borrow::Cow;
use std::collections::HashSet;

use forebay_butler::Universe;
use uuid::Uuid;

use super::data_id::DataIds;
use super::dataset_type::Definitions;
use super::path::DatastoreRoot;
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
    definitions: &'a Definitions<'a>,
    datastore_name: &'a str,
    root: &'a DatastoreRoot,
    data_ids: DataIds<'a>,
    seen: HashSet<Uuid>,
}

/// What the references of a file have in common.
struct File<'a> {
    number: i32,
    path: Cow<'a, str>,
    formatter: Cow<'a, str>,
    first: Option<FirstRef<'a>>,
}

/// What the first reference of a file says for all of them.
struct FirstRef<'a> {
    run: Cow<'a, str>,
    dataset_type: Cow<'a, str>,
    /// If the event defines that type.
    storage_class: Option<&'a str>,
}

impl<'a> DatasetWriter<'a> {
    pub fn new(
        refs: TargetIndex,
        target: &'a Target,
        universe: &'a Universe,
        definitions: &'a Definitions<'a>,
        (datastore_name, root): (&'a str, &'a DatastoreRoot),
    ) -> Self {
        let data_ids = DataIds::new(universe);
        let seen = HashSet::new();
        Self { refs, target, definitions, datastore_name, root, data_ids, seen }
    }

    /// Writes the references of all files, in their order.
    pub fn write_all(
        &mut self,
        datasets: Json<'a>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        visit_array(datasets.text(), |index, dataset| {
            self.write_file(index, dataset, rows)
                .map_err(|rejection| rejection.within(format_args!("datasets[{index}]")))
        })
    }

    fn write_file(
        &mut self,
        index: usize,
        dataset: Json<'a>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let (mut refs, mut path, mut formatter) = (None, None, None);
        visit_object(dataset.text(), |key, value| match &*key {
            "refs" => set_once(&mut refs, "refs", value),
            "path" => set_once(&mut path, "path", value),
            "formatter" => set_once(&mut formatter, "formatter", value),
            _ => Ok(()),
        })?;
        let refs = required(refs, "refs")?;
        let path = self.root.relative(required(path, "path")?.string()?)?;
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
        let number = i32::try_from(index).map_err(|_| malformed("too many files"))?;
        let mut file = File { number, path, formatter, first: None };
        visit_object(refs.text(), |id, reference| {
            self.write_ref(&id, reference, &mut file, rows)
                .map_err(|rejection| rejection.within(format_args!("refs[{id:?}]")))
        })?;
        match file.first {
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
        let definition = self.definitions.get(&dataset_type)?;
        let first = file.first.get_or_insert_with(|| FirstRef {
            run: run.clone(),
            dataset_type: dataset_type.clone(),
            storage_class: definition.map(|definition| &*definition.storage_class),
        });
        if first.run != run {
            let first = &first.run;
            let message = format!("a file has datasets in runs {first:?} and {run:?}");
            return Err(malformed(message));
        }
        let data_ids = &mut self.data_ids;
        // In the order of REF_COLUMNS, which the target was checked for.
        rows.row(self.refs, self.target, Op::Upsert, None, |position, _, out| {
            match position {
                0 => field::fixed(id.as_bytes(), out),
                1 => return encode_text(&dataset_type, out),
                2 => return encode_text(&run, out),
                3 => return data_ids.encode(data_id, out),
                4 => return text_or_null(definition.map(|known| &*known.storage_class), out),
                5 => {
                    let dimensions = definition.map(|known| known.dimensions.as_deref());
                    return text_or_null(dimensions.and_then(Result::ok), out);
                }
                6 => match definition {
                    Some(known) => field::fixed(&[u8::from(known.is_calibration)], out),
                    None => field::null(out),
                },
                7 => field::fixed(&file.number.to_be_bytes(), out),
                8 => return encode_text(&first.dataset_type, out),
                9 => return text_or_null(first.storage_class, out),
                10 => return encode_text(self.datastore_name, out),
                11 => return encode_text(&file.path, out),
                _ => return encode_text(&file.formatter, out),
            }
            Ok(())
        })
    }
}

fn text_or_null(text: Option<&str>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    match text {
        Some(text) => encode_text(text, out),
        None => {
            field::null(out);
            Ok(())
        }
    }
}
