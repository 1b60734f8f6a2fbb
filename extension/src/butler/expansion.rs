//! Expanding resolved dataset references into rows of the repository's tables (BUTLER.md, B.2).

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::Oid;
use pgrx::spi::SpiClient;

use super::integer::as_integer;
use super::known::{FILE_KEY, Known};
use super::lookup::{DimensionColumn, Repository, TagsTable};
use super::summaries::{Summaries, Summary, TYPE_SUMMARY};
use super::targets::{ensure_target, find_target};
use super::{References, StagedRows};
use crate::attempt::{Attempt, Raised};
use crate::merge::batch_argument;
use crate::query::query;
use crate::size::Size;
use crate::statement::{literal, quoted};

/// The dimensions that have a collection summary (BUTLER.md, section 2).
const GOVERNORS: [&str; 2] = ["instrument", "skymap"];

/// TAI is this many nanoseconds ahead of Unix time since 2017 (BUTLER.md, rule 10).
const TAI_OFFSET_NANOSECONDS: &str = "37000000000";

/// The references with what their names stand for: `r` the reference, `y` its dataset type, `f` that of
/// its file's first dataset, `u` its run. `$1` is the batch, `$2` to `$5` the dataset types, `$6` and
/// `$7` the runs, `$8` the events that are left out, `$9` known datasets, `$10` known files, `$11` and
/// `$12` what the repository has of a summary.
const RESOLVED: &str = "r join unnest($2::text[], $3::int8[], $4::text[], $5::text[]) \
    y(name, id, storage_class, tags_table) on y.name = r.dataset_type \
    join unnest($2::text[], $4::text[]) f(name, storage_class) on f.name = r.file_dataset_type \
    join unnest($6::text[], $7::int8[]) u(name, id) on u.name = r.run \
    where r._batch >= $1 and r._event not in (select unnest($8))";

/// A table to fill: its columns, and what fills them.
struct Expansion {
    table: String,
    columns: Vec<String>,
    values: Vec<String>,
    condition: String,
    /// For a summary of collections, what it describes them by: several references of an event give
    /// the same row.
    summarised: Option<String>,
}

/// Stages the rows that the references stand for, but for the events in `rejected`.
pub fn expand(
    attempt: &Attempt,
    client: &mut SpiClient<'_>,
    references: &References,
    repository: &Repository,
    known: &Known,
    rejected: &[i32],
) -> Result<Vec<StagedRows>, Raised> {
    let mut summaries = Summaries::default();
    let mut expansions = expansions(repository);
    for Expansion { table, summarised, .. } in &expansions {
        if let Some(column) = summarised {
            summaries.look_up(attempt, client, repository, table, column)?;
        }
    }
    if summaries.has_all_types(repository) {
        expansions.retain(|expansion| expansion.table != TYPE_SUMMARY);
    }
    let mut targets = Vec::with_capacity(expansions.len());
    for expansion in &expansions {
        let table = expansion.table.as_str();
        targets.push(if repository.tags_tables.iter().any(|tags| tags.name == table) {
            ensure_target(client, &repository.schema, table)?
        } else {
            find_target(client, &repository.schema, table)?
        });
    }
    let relations: Vec<Oid> = targets.iter().map(|target| target.relation).collect();
    let sql = "select forebay.stage_more($1, $2::regclass[])";
    query(client, sql, Size::default(), &[references.slot.into(), relations.into()])?;
    let mut staged = Vec::new();
    for (expansion, target) in expansions.iter().zip(targets) {
        let sql = statement(expansion, references, target.id);
        let summary = summaries.of(&expansion.table);
        let arguments = arguments(references, repository, known, rejected, summary);
        let rows = query(client, &sql, references.size, &arguments)?.processed() as i64;
        staged.push(StagedRows { relation: target.relation.to_u32(), rows });
    }
    Ok(staged)
}

fn expansions(repository: &Repository) -> Vec<Expansion> {
    let mut expansions = vec![
        Expansion::new("dataset")
            .column("id", "r.id")
            .column("dataset_type_id", "y.id")
            .column("ingest_date", &tai_now())
            .column("run_id", "u.id"),
        Expansion::new(TYPE_SUMMARY)
            .column("collection_id", "u.id")
            .column("dataset_type_id", "y.id")
            .summarising("dataset_type_id", "y.id"),
        Expansion::new("dataset_location")
            .column("datastore_name", "r.datastore_name")
            .column("dataset_id", "r.id")
            .of_new_files(),
        Expansion::new("file_datastore_records")
            .column("dataset_id", "r.id")
            .column("path", "r.path")
            .column("formatter", "r.formatter")
            .column("storage_class", "coalesce(r.file_storage_class, f.storage_class)")
            .column("component", "'__NULL_STRING__'")
            .column("checksum", "null")
            .column("file_size", "-1")
            .of_new_files(),
    ];
    expansions.extend(repository.tags_tables.iter().map(tags));
    expansions.extend(GOVERNORS.iter().filter_map(|governor| summary(repository, governor)));
    expansions
}

fn tags(table: &TagsTable) -> Expansion {
    let mut expansion = Expansion::new(&table.name)
        .column("dataset_type_id", "y.id")
        .column("dataset_id", "r.id")
        .column("collection_id", "u.id")
        .of_tables(&[table])
        .of_new_datasets();
    for dimension in &table.dimensions {
        expansion = expansion.column(&dimension.name, &value_of(dimension));
    }
    expansion
}

/// The summary of collections by a governor, if a dataset type of the batch has it.
fn summary(repository: &Repository, governor: &str) -> Option<Expansion> {
    let of_table =
        |table: &TagsTable| table.dimensions.iter().any(|dimension| dimension.name == governor);
    let tables: Vec<_> = repository.tags_tables.iter().filter(|table| of_table(table)).collect();
    let mut dimensions = tables.iter().flat_map(|table| &table.dimensions);
    let value = value_of(dimensions.find(|dimension| dimension.name == governor)?);
    let expansion = Expansion::new(&format!("collection_summary_{governor}"))
        .column("collection_id", "u.id")
        .column(governor, &value)
        .of_tables(&tables)
        .summarising(governor, &value);
    Some(expansion)
}

/// The value of a dimension in the data ID of the reference `r`; null for a word in place of an integer.
pub fn value_of(dimension: &DimensionColumn) -> String {
    let value = format!("(r.data_id ->> {})", literal(&dimension.name));
    if dimension.is_integer { as_integer(&value) } else { value }
}

fn tai_now() -> String {
    format!(
        "(extract(epoch from clock_timestamp()) * 1000000)::int8 * 1000 + {TAI_OFFSET_NANOSECONDS}"
    )
}

impl Expansion {
    fn new(table: &str) -> Self {
        Expansion {
            table: table.to_owned(),
            columns: Vec::new(),
            values: Vec::new(),
            condition: String::new(),
            summarised: None,
        }
    }

    fn column(mut self, name: &str, value: &str) -> Self {
        self.columns.push(quoted(name));
        self.values.push(value.to_owned());
        self
    }

    fn of_tables(mut self, tables: &[&TagsTable]) -> Self {
        let names: Vec<_> = tables.iter().map(|table| literal(&table.name)).collect();
        self.condition.push_str(&format!(" and y.tags_table in ({})", names.join(", ")));
        self
    }

    fn of_new_datasets(mut self) -> Self {
        self.condition.push_str(" and r.id not in (select unnest($9))");
        self
    }

    fn of_new_files(mut self) -> Self {
        self.condition.push_str(&format!(" and {FILE_KEY} not in (select unnest($10))"));
        self
    }

    fn summarising(mut self, column: &str, value: &str) -> Self {
        self.condition.push_str(&format!(
            " and (u.id, ({value})::text) not in \
             (select k.run, k.value from unnest($11::int8[], $12::text[]) k(run, value))"
        ));
        self.summarised = Some(column.to_owned());
        self
    }
}

fn statement(expansion: &Expansion, references: &References, target: i32) -> String {
    let staging = format!("forebay_staging.{}", quoted(&format!("t{target}_{}", references.slot)));
    let values = expansion.values.join(", ");
    let (rows, order) = if expansion.summarised.is_some() {
        ("min(r._row)", format!(" group by r._batch, r._event, {values}"))
    } else {
        ("r._row", String::new())
    };
    format!(
        "insert into {staging} (_batch, _event, _row, _op, {}) \
         select r._batch, r._event, {rows}, 'u', {values} from {} {RESOLVED}{}{order}",
        expansion.columns.join(", "),
        references.staging,
        expansion.condition,
    )
}

fn arguments<'a>(
    references: &References,
    repository: &Repository,
    known: &Known,
    rejected: &[i32],
    summary: Summary,
) -> [DatumWithOid<'a>; 12] {
    let types = &repository.dataset_types;
    let texts = |value: fn(&super::lookup::DatasetType) -> &String| {
        types.iter().map(|known| value(known).clone()).collect::<Vec<_>>()
    };
    [
        batch_argument(references.batch),
        texts(|known| &known.name).into(),
        types.iter().map(|known| known.id).collect::<Vec<_>>().into(),
        texts(|known| &known.storage_class).into(),
        texts(|known| &known.tags_table).into(),
        repository.runs.iter().map(|run| run.name.clone()).collect::<Vec<_>>().into(),
        repository.runs.iter().map(|run| run.id).collect::<Vec<_>>().into(),
        rejected.to_vec().into(),
        known.datasets.clone().into(),
        known.files.clone().into(),
        summary.runs.into(),
        summary.values.into(),
    ]
}
