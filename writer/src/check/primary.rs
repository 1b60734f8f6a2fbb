//! Looks at the primary: is it there, does it take writes, has it what the writer needs.

use super::Finding;
use crate::catalog::Catalog;
use crate::config::{Config, FormatConfig};
use crate::decode::Format;
use crate::extension;
use crate::failure::Failure;
use crate::session::Session;

/// Looks until something is missing that the rest depends on.
pub async fn look(config: &Config) -> Vec<Finding> {
    let place = format!("primary {}", config.database.dsn);
    let session = match Session::connect(&config.database, &config.source.name).await {
        Ok(session) => session,
        Err(error) => {
            let advice = "start it, or correct database.dsn";
            return vec![Finding::problem(place, format!("{error}; {advice}"))];
        }
    };
    let mut findings = vec![Finding::good(&place, "reachable, and takes writes")];
    match extension::look(&session).await {
        Ok(None) => findings.push(Finding::good(&place, "the extension and the grants are there")),
        Ok(Some(unusable)) => {
            findings.push(Finding::problem(&place, unusable));
            return findings;
        }
        Err(error) => {
            findings.push(Finding::problem(&place, error));
            return findings;
        }
    }
    match Catalog::load(session.client(), &config.format).await {
        Ok(catalog) => findings.extend(targets(config, &catalog, &place)),
        Err(error) => findings.push(Finding::problem(&place, Failure::from(error))),
    }
    findings
}

fn targets(config: &Config, catalog: &Catalog, place: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let format = Format::new(&config.format, catalog);
    match (&config.format, format) {
        (_, Err(error)) => findings.push(Finding::problem(place, error)),
        (FormatConfig::Rows | FormatConfig::Debezium(_), Ok(_))
            if catalog.targets().next().is_none() =>
        {
            let message = "no target is registered, so every event would be rejected; register \
                           the tables with forebay.add_target";
            findings.push(Finding::problem(place, message));
        }
        (_, Ok(_)) => findings.push(Finding::good(place, "the format fits the targets")),
    }
    for (_, target) in catalog.targets() {
        if let Some(reason) = target.unsupported() {
            let name = target.qualified_name();
            findings
                .push(Finding::note(place, format!("events for {name} are rejected: {reason}")));
        } else if let Some(column) = target.columns().iter().find(|one| one.encoder.is_none()) {
            let (target, column, of) = (target.qualified_name(), &column.name, &column.type_name);
            let message = format!(
                "rows of {target} are copied as text, which is slower: column \"{column}\" has type {of}"
            );
            findings.push(Finding::note(place, message));
        }
    }
    findings
}
