//! `forebay butler`: whether a Butler repository can be written, and its tables made targets.

use std::collections::BTreeMap;
use std::io::Write;

use forebay_butler::Attributes;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::cli::ButlerArguments;
use crate::command_error::CommandError;
use crate::config::{DatabaseConfig, Dsn};
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::text_table::printable;

const ATTRIBUTES: &str = include_str!("butler_command/attributes.sql");
const TARGETS: &str = include_str!("butler_command/targets.sql");
const ADD_TARGETS: &str =
    "select forebay.butler_add_targets(to_regnamespace($1::text)::oid::regnamespace)";

/// Tables that datasets end in, beside those of groups of dimensions.
const DATASET_TABLES: [&str; 6] = [
    "dataset",
    "dataset_location",
    "file_datastore_records",
    "collection_summary_dataset_type",
    "collection_summary_instrument",
    "collection_summary_skymap",
];

/// Writes what the repository is, and which of its tables are targets. Whether it can be written.
///
/// # Errors
/// If the database doesn't answer, or nobody takes what is written.
pub async fn check(
    dsn: Dsn,
    arguments: &ButlerArguments,
    out: &mut impl Write,
) -> Result<bool, CommandError> {
    let session = connect(dsn).await?;
    let attributes = attributes(&session, &arguments.schema).await?;
    let problems = describe(&attributes, out)?;
    let registered = registered(&session, &arguments.schema).await?;
    let mut missing: Vec<_> =
        expected(&attributes).filter(|table| !registered.contains_key(table)).collect();
    missing.sort();
    for (table, policy) in &registered {
        writeln!(out, "target: {}: {policy}", printable(table))?;
    }
    for table in &missing {
        writeln!(out, "missing: {table} is not a target; `forebay butler register` makes it one")?;
    }
    for problem in &problems {
        writeln!(out, "problem: {}", printable(problem))?;
    }
    let is_good = problems.is_empty() && missing.is_empty();
    let verdict = if is_good { "is" } else { "is not" };
    writeln!(out, "schema {} {verdict} ready to be written", printable(&arguments.schema))?;
    Ok(is_good)
}

/// Makes the repository's tables targets. Whether it was done: what can't be written isn't.
///
/// # Errors
/// If the database doesn't answer, or nobody takes what is written.
pub async fn register(
    dsn: Dsn,
    arguments: &ButlerArguments,
    out: &mut impl Write,
) -> Result<bool, CommandError> {
    let session = connect(dsn).await?;
    let problems = describe(&attributes(&session, &arguments.schema).await?, out)?;
    if !problems.is_empty() {
        for problem in problems {
            writeln!(out, "problem: {}", printable(&problem))?;
        }
        writeln!(out, "nothing was registered")?;
        return Ok(false);
    }
    let rows = query(&session, ADD_TARGETS, &[&arguments.schema]).await?;
    let added: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(answer)?;
    let schema = printable(&arguments.schema);
    writeln!(out, "{added} tables of schema {schema} are targets")?;
    Ok(true)
}

async fn connect(dsn: Dsn) -> Result<Session, DatabaseError> {
    Session::connect(&DatabaseConfig::new(dsn), "butler").await
}

/// Writes the versions of the repository's parts; returns why it can't be written.
fn describe(attributes: &Attributes, out: &mut impl Write) -> Result<Vec<String>, CommandError> {
    if let Ok(universe) = attributes.universe() {
        let (namespace, version) = (printable(universe.namespace()), universe.version());
        writeln!(out, "universe: {namespace} {version}")?;
    }
    for (manager, class, version) in attributes.managers() {
        let (manager, class) = (printable(manager), printable(class));
        writeln!(out, "{manager}: {class} {}", printable(version))?;
    }
    Ok(attributes.problems())
}

fn expected(attributes: &Attributes) -> impl Iterator<Item = String> {
    let elements = attributes.universe().map(|universe| universe.tables()).unwrap_or_default();
    elements.into_iter().chain(DATASET_TABLES.map(str::to_owned))
}

async fn attributes(session: &Session, schema: &str) -> Result<Attributes, CommandError> {
    let rows = query(session, ATTRIBUTES, &[&schema]).await?;
    let tables: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(answer)?;
    if tables == 0 {
        let message =
            format!("schema {schema} holds no Butler repository: no table butler_attributes");
        return Err(CommandError::NotFound(message));
    }
    let quoted = schema.replace('"', "\"\"");
    let sql = format!("select name, value from \"{quoted}\".butler_attributes");
    let mut attributes = BTreeMap::new();
    for row in query(session, &sql, &[]).await? {
        attributes.insert(row.try_get(0).map_err(answer)?, row.try_get(1).map_err(answer)?);
    }
    Ok(Attributes::new(attributes))
}

/// The tables of the schema that are targets, with their policies.
async fn registered(
    session: &Session,
    schema: &str,
) -> Result<BTreeMap<String, String>, CommandError> {
    let mut registered = BTreeMap::new();
    for row in query(session, TARGETS, &[&schema]).await? {
        registered.insert(row.try_get(0).map_err(answer)?, row.try_get(1).map_err(answer)?);
    }
    Ok(registered)
}

async fn query(
    session: &Session,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, DatabaseError> {
    let statement = session.statement(Place::Show, sql).await?;
    session.within(Place::Show, session.client().query(&statement, parameters)).await
}

fn answer(error: tokio_postgres::Error) -> DatabaseError {
    DatabaseError::answer(Place::Show, error.to_string())
}
