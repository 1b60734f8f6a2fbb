//! Which of a batch's datasets and files the repository has already (BUTLER.md, B.3).

use std::collections::BTreeSet;

use pgrx::Uuid;
use pgrx::spi::SpiClient;

use super::expansion::value_of;
use super::lookup::{Repository, TagsTable, distinct_names};
use super::{References, Table};
use crate::attempt::{Attempt, Raised};
use crate::identity::as_table_owner;
use crate::merge::{Rejection, batch_argument};
use crate::query::query;
use crate::statement::quoted;

/// What the repository has of a batch.
pub struct Known {
    /// Datasets that are registered: their tags are not written again.
    pub datasets: Vec<Uuid>,
    /// Files of which the datastore has a record, or gets one by an earlier event: event and file, as
    /// [`file_key`] puts them together.
    pub files: Vec<i64>,
    /// Events with such a file, and the earlier event: if that is rejected, the file is not known.
    pub assumed: Vec<(i32, i32)>,
}

/// A file as a number, as SQL: `r` is a reference to what is in it.
pub const FILE_KEY: &str = "((r._event::int8 << 32) | r.file)";

impl Known {
    /// Looks up the datasets and files of the references, as the tables' owners.
    pub fn look_up(
        attempt: &Attempt,
        client: &mut SpiClient<'_>,
        repository: &Repository,
        references: &References,
        rejected: &BTreeSet<i32>,
    ) -> Result<Self, Raised> {
        let sql = format!(
            "select coalesce(array_agg(distinct r.id), '{{}}') from {} r where r._batch >= $1",
            references.staging
        );
        let arguments = [batch_argument(references.batch)];
        let ids = query(client, &sql, references.size, &arguments)?
            .first()?
            .get::<Vec<Uuid>>(1)?
            .unwrap_or_default();
        let datasets = present(attempt, client, repository, ("dataset", "id"), &ids)?;
        let table = ("file_datastore_records", "dataset_id");
        let recorded = present(attempt, client, repository, table, &ids)?;
        let mut files = recorded_files(client, references, recorded)?;
        let repeated = repeated_files(client, references, rejected)?;
        let assumed = repeated.iter().filter(|(file, _, _)| !files.contains(file));
        let assumed = assumed.map(|(_, event, earlier)| (*event, *earlier)).collect();
        files.extend(repeated.iter().map(|(file, _, _)| *file));
        Ok(Known { datasets, files, assumed })
    }

    /// Events that contradict what is known: a dataset with another data ID, or a location of a file
    /// without a record.
    pub fn conflicts(
        &self,
        attempt: &Attempt,
        client: &mut SpiClient<'_>,
        repository: &Repository,
        references: &References,
    ) -> Result<Vec<Rejection>, Raised> {
        if self.datasets.is_empty() {
            return Ok(Vec::new());
        }
        let mut rejections = self.located(attempt, client, repository, references)?;
        for table in &repository.tags_tables {
            rejections.extend(self.retagged(attempt, client, repository, references, table)?);
        }
        Ok(rejections)
    }

    /// Events with a dataset that has other tags, in any collection.
    fn retagged(
        &self,
        attempt: &Attempt,
        client: &mut SpiClient<'_>,
        repository: &Repository,
        references: &References,
        table: &TagsTable,
    ) -> Result<Vec<Rejection>, Raised> {
        let types: Vec<_> = repository
            .dataset_types
            .iter()
            .filter(|known| known.tags_table == table.name)
            .collect();
        let sql = format!(
            "select array_agg(r._event), array_agg(r.id), array_agg(y.id), array_agg(r.data_id) \
             from {} r join unnest($2::text[], $3::int8[]) y(name, id) on y.name = r.dataset_type \
             where r._batch >= $1 and r.id in (select unnest($4))",
            references.staging
        );
        let arguments = [
            batch_argument(references.batch),
            types.iter().map(|known| known.name.clone()).collect::<Vec<_>>().into(),
            types.iter().map(|known| known.id).collect::<Vec<_>>().into(),
            self.datasets.clone().into(),
        ];
        let rows = query(client, &sql, references.size, &arguments)?;
        let row = rows.first()?;
        let Some(events) = row.get::<Vec<i32>>(1)? else { return Ok(Vec::new()) };
        let arguments = [
            events.into(),
            row.get::<Vec<Uuid>>(2)?.into(),
            row.get::<Vec<i64>>(3)?.into(),
            row.get::<Vec<pgrx::JsonB>>(4)?.into(),
        ];
        let differs = table.dimensions.iter().map(|dimension| {
            format!("t.{} is distinct from {}", quoted(&dimension.name), value_of(dimension))
        });
        let differs: Vec<_> =
            ["t.dataset_type_id <> r.type".to_owned()].into_iter().chain(differs).collect();
        let sql = format!(
            "select distinct r.event, r.id::text \
             from unnest($1::int4[], $2::uuid[], $3::int8[], $4::jsonb[]) r(event, id, type, data_id) \
             join {}.{} t on t.dataset_id = r.id where {} order by 1, 2",
            quoted(&repository.schema),
            quoted(&table.name),
            differs.join(" or ")
        );
        let Table { owner, size } = Table::find(client, &repository.schema, &table.name)?;
        as_table_owner(attempt, owner, || {
            let mut rejections = Vec::new();
            for row in query(client, &sql, size, &arguments)?.iter() {
                let event = row.get::<i32>(1)?.unwrap_or(0);
                let id = row.get::<String>(2)?.unwrap_or_default();
                let message = format!(
                    "dataset {id} is registered with another dataset type or data ID than the event's"
                );
                let raised = repository.error("23505", &table.name, message);
                rejections.push(Rejection::new(event, &raised));
            }
            Ok(rejections)
        })
    }

    /// Events with a dataset that has a location in their datastore, in a file that has no record.
    fn located(
        &self,
        attempt: &Attempt,
        client: &mut SpiClient<'_>,
        repository: &Repository,
        references: &References,
    ) -> Result<Vec<Rejection>, Raised> {
        let datastores = distinct_names(client, references, "datastore_name")?;
        let Table { owner, size } = Table::find(client, &repository.schema, "dataset_location")?;
        let located = as_table_owner(attempt, owner, || {
            let sql = format!(
                "select coalesce(array_agg(distinct l.dataset_id), '{{}}') from {}.dataset_location l \
                 where l.dataset_id = any ($1) and l.datastore_name = any ($2)",
                quoted(&repository.schema)
            );
            let arguments = [self.datasets.clone().into(), datastores.into()];
            let rows = query(client, &sql, size, &arguments)?;
            Ok::<_, Raised>(rows.first()?.get::<Vec<Uuid>>(1)?.unwrap_or_default())
        })?;
        let sql = format!(
            "select distinct on (r._event) r._event, r.id::text from {} r \
             where r._batch >= $1 and r.id in (select unnest($2)) \
             and {FILE_KEY} not in (select unnest($3)) \
             order by r._event, r._row",
            references.staging
        );
        let arguments =
            [batch_argument(references.batch), located.into(), self.files.clone().into()];
        let mut rejections = Vec::new();
        for row in query(client, &sql, references.size, &arguments)?.iter() {
            let event = row.get::<i32>(1)?.unwrap_or(0);
            let id = row.get::<String>(2)?.unwrap_or_default();
            let message =
                format!("dataset {id} has a location in a datastore, and no record there");
            let raised = repository.error("23505", "dataset_location", message);
            rejections.push(Rejection::new(event, &raised));
        }
        Ok(rejections)
    }
}

/// Those of some datasets that a table has, as its owner.
fn present(
    attempt: &Attempt,
    client: &mut SpiClient<'_>,
    repository: &Repository,
    (table, column): (&str, &str),
    ids: &[Uuid],
) -> Result<Vec<Uuid>, Raised> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let Table { owner, size } = Table::find(client, &repository.schema, table)?;
    as_table_owner(attempt, owner, || {
        let sql = format!(
            "select coalesce(array_agg(distinct t.{column}), '{{}}') from {}.{table} t \
             where t.{column} = any ($1)",
            quoted(&repository.schema)
        );
        let rows = query(client, &sql, size, &[ids.to_vec().into()])?;
        Ok(rows.first()?.get::<Vec<Uuid>>(1)?.unwrap_or_default())
    })
}

/// Files with a recorded dataset.
fn recorded_files(
    client: &mut SpiClient<'_>,
    references: &References,
    recorded: Vec<Uuid>,
) -> Result<Vec<i64>, Raised> {
    if recorded.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select coalesce(array_agg(distinct {FILE_KEY}), '{{}}') from {} r \
         where r._batch >= $1 and r.id in (select unnest($2))",
        references.staging
    );
    let arguments = [batch_argument(references.batch), recorded.into()];
    let rows = query(client, &sql, references.size, &arguments)?;
    Ok(rows.first()?.get::<Vec<i64>>(1)?.unwrap_or_default())
}

/// Files of several datasets of which an earlier event of the batch has one, with both events. (Of a file
/// with one dataset, the record of the first event stays as it is.)
fn repeated_files(
    client: &mut SpiClient<'_>,
    references: &References,
    rejected: &BTreeSet<i32>,
) -> Result<Vec<(i64, i32, i32)>, Raised> {
    let sql = format!(
        "with shared as (select r._event, r.file from {0} r where r._batch >= $1 \
         group by 1, 2 having count(*) > 1) \
         select {FILE_KEY}, r._event, min(e._event) \
         from shared s join {0} r on r._event = s._event and r.file = s.file \
         join {0} e on e.id = r.id and e._event < r._event \
         where r._batch >= $1 and e._batch >= $1 and e._event not in (select unnest($2)) \
         group by 1, 2",
        references.staging
    );
    let rejected: Vec<i32> = rejected.iter().copied().collect();
    let mut files = Vec::new();
    let arguments = [batch_argument(references.batch), rejected.into()];
    for row in query(client, &sql, references.size, &arguments)?.iter() {
        let number = |column| Ok::<_, Raised>(row.get::<i32>(column)?.unwrap_or(0));
        files.push((row.get::<i64>(1)?.unwrap_or(0), number(2)?, number(3)?));
    }
    Ok(files)
}
