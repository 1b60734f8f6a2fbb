//! Reads the catalog from the database.

use std::collections::BTreeMap;

use forebay_butler::Attributes;
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Row};

use super::{Catalog, Column, Target};
use crate::decode::{ButlerConfig, FormatConfig};
use crate::encode::{Shape, Value};

const LOAD: &str = include_str!("load.sql");
const BUTLER: &str = "select forebay.butler_repository($1)";
const OTHER_OVERLAPS: &str = "select forebay.butler_other_overlaps($1)";
const ENCODING: &str = "select pg_catalog.getdatabaseencoding()::pg_catalog.text";

/// Why the catalog could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A query failed; the SQLSTATE says whose fault it is.
    #[error("load the registered targets")]
    Query(#[from] tokio_postgres::Error),
    /// Text of an event could fail to convert, in the middle of a COPY.
    #[error("the database's encoding is {0}; the writer needs UTF8")]
    Encoding(String),
}

impl Catalog {
    /// Loads all registered targets, and what the format has to know beside them.
    pub async fn load(client: &Client, format: &FormatConfig) -> Result<Self, CatalogError> {
        let catalog = Self::load_targets(client).await?;
        let FormatConfig::Butler(ButlerConfig { schema, .. }) = format else { return Ok(catalog) };
        if catalog.find(&format!("{schema}.dataset")).is_none() {
            return Ok(catalog);
        }
        let row = client.query_one(BUTLER, &[schema]).await?;
        let attributes: Option<Json<BTreeMap<String, String>>> = row.try_get(0)?;
        let attributes = attributes.map(|Json(attributes)| attributes).unwrap_or_default();
        let other_overlaps: Vec<String> =
            client.query_one(OTHER_OVERLAPS, &[schema]).await?.try_get(0)?;
        Ok(catalog.with_butler(Attributes::new(attributes)).with_other_overlaps(other_overlaps))
    }

    async fn load_targets(client: &Client) -> Result<Self, CatalogError> {
        let encoding: String = client.query_one(ENCODING, &[]).await?.try_get(0)?;
        if encoding != "UTF8" {
            return Err(CatalogError::Encoding(encoding));
        }
        let mut targets = Vec::new();
        let mut pending: Option<Pending> = None;
        for row in client.query(LOAD, &[]).await? {
            let relation: u32 = row.try_get(0)?;
            if pending.as_ref().is_none_or(|pending| pending.relation != relation) {
                targets.extend(pending.take().map(Pending::finish));
                pending = Some(Pending::begin(relation, &row)?);
            }
            if let (Some(pending), Some(attnum)) = (&mut pending, row.try_get(5)?) {
                let column = Column::new(
                    attnum,
                    row.try_get::<_, String>(6)?,
                    row.try_get(7)?,
                    row.try_get(8)?,
                    row.try_get::<_, String>(10)?,
                    row.try_get(9)?,
                );
                pending.columns.push(column.staged(row.try_get(11)?, shape(&row)?));
            }
        }
        targets.extend(pending.map(Pending::finish));
        Ok(Self::new(targets))
    }
}

/// What a column's values are made of.
fn shape(row: &Row) -> Result<Shape, tokio_postgres::Error> {
    let element: Option<u32> = row.try_get(13)?;
    let delimiter: Option<String> = row.try_get(14)?;
    Ok(match (element, delimiter.and_then(|delimiter| delimiter.chars().next())) {
        (Some(element), Some(delimiter)) => Shape::Array(Value::of_type(element), delimiter),
        _ => Shape::One(Value::of_type(row.try_get(12)?)),
    })
}

/// A target whose columns are being read.
struct Pending {
    relation: u32,
    schema: String,
    name: String,
    key: Vec<String>,
    on_conflict: String,
    columns: Vec<Column>,
}

impl Pending {
    fn begin(relation: u32, row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            relation,
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            key: row.try_get::<_, Option<Vec<String>>>(3)?.unwrap_or_default(),
            on_conflict: row.try_get(4)?,
            columns: Vec::new(),
        })
    }

    fn finish(self) -> Target {
        let on_conflict = self.on_conflict.as_str().into();
        Target::new(self.relation, self.schema, self.name, &self.key, on_conflict, self.columns)
    }
}
