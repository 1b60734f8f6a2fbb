//! The PostgreSQL side of Forebay: unlogged staging tables and a bulk merge, exactly once.
//!
//! What only SQL needs lives in `sql/`, in dependency order. What needs the server's own interface
//! lives here:
//!
//! - [`registration`]: who may register a table as a target
//! - [`merge`]: staged rows become rows of their targets, as a set or event by event
//! - [`butler`]: what the format `butler` adds between COPY and merge
//! - [`wait_for`]: waiting for an event without holding a snapshot
//!
//! and beneath them
//!
//! - [`attempt`]: a subtransaction that returns the error it met, with all of its fields
//! - [`left_out`]: foreign keys that are checked as a set, before their rows are written
//! - [`leftovers`]: emptying a staging table of what former batches have left
//! - [`input`]: values of types that are staged as text
//! - [`description`]: what the catalog says of targets, kept for the session
//! - [`identity`]: work done as another user, in a security-restricted operation
//! - [`plan`]: statements whose after-triggers wait for the end of an event
//! - [`query`]: queries whose plans are kept
//! - [`size`]: what a plan that is kept was made for
//! - [`policy`]: whose fault an SQLSTATE is
//! - [`statement`]: the one place where identifiers become SQL
//! - [`failpoint`]: what a test can do to a backend

use pgrx::prelude::*;

pub mod attempt;
pub mod butler;
pub mod description;
pub mod failpoint;
pub mod identity;
pub mod input;
pub mod left_out;
pub mod leftovers;
pub mod merge;
pub mod plan;
pub mod policy;
pub mod query;
pub mod registration;
pub mod size;
pub mod statement;
pub mod target;
pub mod wait_for;

::pgrx::pg_module_magic!(name, version);

extension_sql_file!("../../sql/bootstrap.sql", name = "bootstrap", bootstrap);
extension_sql_file!("../../sql/target.sql", name = "target", requires = ["bootstrap"]);
extension_sql_file!(
    "../../sql/target_description.sql",
    name = "target_description",
    requires = ["target"]
);
extension_sql_file!("../../sql/input.sql", name = "input", requires = ["bootstrap"]);
extension_sql_file!("../../sql/progress.sql", name = "progress", requires = ["bootstrap"]);
extension_sql_file!("../../sql/dead_letter.sql", name = "dead_letter", requires = ["bootstrap"]);
extension_sql_file!(
    "../../sql/dead_letter_retention.sql",
    name = "dead_letter_retention",
    requires = ["dead_letter"]
);
extension_sql_file!("../../sql/outbox.sql", name = "outbox", requires = ["bootstrap"]);
extension_sql_file!("../../sql/file_removal.sql", name = "file_removal", requires = ["bootstrap"]);
extension_sql_file!("../../sql/claim.sql", name = "claim", requires = ["progress"]);
extension_sql_file!(
    "../../sql/resume.sql",
    name = "resume",
    requires = ["progress", "dead_letter"]
);
extension_sql_file!("../../sql/ownership.sql", name = "ownership", requires = ["bootstrap"]);
extension_sql_file!("../../sql/dropped_target.sql", name = "dropped_target", requires = ["target"]);
extension_sql_file!(
    "../../sql/stage.sql",
    name = "stage",
    requires = ["target", leftovers::empty_staging]
);
extension_sql_file!(
    "../../sql/target_api.sql",
    name = "target_api",
    requires = ["target", registration::add_target_as_caller, registration::drop_target_as_caller]
);
extension_sql_file!(
    "../../sql/merge.sql",
    name = "merge",
    requires = ["target_description", "progress", merge::merge_staged]
);
extension_sql_file!(
    "../../sql/butler.sql",
    name = "butler",
    requires = [
        "target_description",
        "stage",
        "target_api",
        butler::register::butler_register_types,
        butler::butler_resolve_staged,
        butler::pending::butler_finish_resolved
    ]
);
extension_sql_file!(
    "../../sql/wait_for.sql",
    name = "wait_for",
    requires = ["progress", "dead_letter"]
);
extension_sql_file!("../../sql/grants.sql", name = "grants", finalize);

/// Registers the settings of the extension.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    failpoint::register_settings();
    left_out::register();
}
