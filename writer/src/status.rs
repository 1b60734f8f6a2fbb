//! `forebay status`: how far broker, primary and replicas are, each within a bound of time and
//! whether the others answer or not.

mod broker;
mod database;
mod human;
mod json;
mod report;

use std::io::Write;

use crate::command_error::CommandError;
use crate::config::{Config, Dsn};

use report::Report;

/// Looks, and writes what it sees. Says whether everything answered. `admin` is who looks at the
/// primary, instead of the writer's own role.
///
/// # Errors
/// If nobody takes what is written.
pub async fn status(
    config: &Config,
    admin: Option<Dsn>,
    as_json: bool,
    out: &mut impl Write,
) -> Result<bool, CommandError> {
    let source = config.source.name.as_str();
    let (broker, primary, replicas) = tokio::join!(
        broker::look(config),
        database::primary(config, admin.as_ref()),
        database::replicas(config),
    );
    let report = Report { source: source.to_owned(), broker, primary, replicas };
    if as_json {
        writeln!(out, "{}", json::json(&report))?;
    } else {
        human::write(&report, out)?;
    }
    Ok(report.problems().is_empty())
}
