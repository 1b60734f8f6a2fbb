//! The key of a changed row.
//!
//! Of the row before, a source may log the key alone. Debezium fills the rest up with nulls and
//! zeros, which must not be taken for the key of a target that has another.

use crate::catalog::Target;
use crate::decode::row_values::RowValues;
use crate::json::{Json, set_once, visit_object};
use crate::rejection::{Rejection, SqlState};

/// Whether both rows have the target's key, and not the same one.
pub fn differs(target: &Target, before: &mut RowValues<'_>, after: &mut RowValues<'_>) -> bool {
    let mut differs = false;
    let both = before.values_mut().iter().zip(after.values_mut().iter());
    for (column, (before, after)) in target.columns().iter().zip(both) {
        if !column.in_key() {
            continue;
        }
        match (before.filter(|value| !value.is_null()), after) {
            (Some(before), Some(after)) => differs |= before.text() != after.text(),
            _ => return false,
        }
    }
    differs
}

/// Refuses an event whose message key lacks a column of the target's key. A message without key,
/// or with one that isn't a JSON object, says nothing about that.
pub fn check_named(key: Option<&[u8]>, target: &Target) -> Result<(), Rejection> {
    let Some(text) = key.and_then(|key| std::str::from_utf8(key).ok()) else { return Ok(()) };
    let Some(named) = names(text) else { return Ok(()) };
    let mut of_key = target.columns().iter().filter(|column| column.in_key());
    match of_key.find(|column| !named.contains(&column.name)) {
        None => Ok(()),
        Some(column) => Err(Rejection::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!(
                "the target's key has column \"{}\", and the source's has not, so which row is \
                 meant is not known for sure; register the target with the source's key",
                column.name
            ),
        )),
    }
}

/// The columns that a message's key names, alone or as the payload beside its schema.
fn names(text: &str) -> Option<Vec<String>> {
    let (mut names, mut payload) = (Vec::new(), None);
    let mut schema: Option<Json<'_>> = None;
    visit_object(text, |key, value| {
        match &*key {
            "schema" => set_once(&mut schema, "schema", value)?,
            "payload" => set_once(&mut payload, "payload", value)?,
            _ => {}
        }
        names.push(key.into_owned());
        Ok(())
    })
    .ok()?;
    let (Some(_), Some(payload), 2) = (schema, payload, names.len()) else { return Some(names) };
    names.clear();
    visit_object(payload.text(), |key, _| {
        names.push(key.into_owned());
        Ok(())
    })
    .ok()?;
    Some(names)
}
