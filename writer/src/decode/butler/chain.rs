//! What an event asks of chained collections, one staged row per operation.

use std::borrow::Cow;

use super::required;
use crate::catalog::{Target, TargetIndex};
use crate::decode::{Op, RowWriter};
use crate::encode::{encode_built_jsonb, encode_text};
use crate::json::{Json, Kind, malformed, set_once, visit_array, visit_object};
use crate::rejection::Rejection;

const OPERATIONS: [&str; 3] = ["prepend", "extend", "remove"];

/// Writes the operations, in their order.
pub(super) fn write_all(
    index: TargetIndex,
    target: &Target,
    chains: Json<'_>,
    rows: &mut RowWriter<'_>,
) -> Result<(), Rejection> {
    visit_array(chains.text(), |number, operation| {
        write_one(index, target, operation, rows)
            .map_err(|rejection| rejection.within(format_args!("chains[{number}]")))
    })
}

fn write_one(
    index: TargetIndex,
    target: &Target,
    json: Json<'_>,
    rows: &mut RowWriter<'_>,
) -> Result<(), Rejection> {
    let (mut operation, mut parent, mut children) = (None, None, None);
    visit_object(json.text(), |key, value| match &*key {
        "op" => set_once(&mut operation, "op", value),
        "parent" => set_once(&mut parent, "parent", value),
        "children" => set_once(&mut children, "children", value),
        _ => Err(malformed(format!("unknown key {key:?}"))),
    })?;
    let operation = required(operation, "op")?.string()?;
    if !OPERATIONS.contains(&&*operation) {
        return Err(malformed(format!(
            "op is {operation:?}, not one of {}",
            OPERATIONS.join(", ")
        )));
    }
    let parent = required(parent, "parent")?.string()?;
    let children = names(required(children, "children")?)?;
    rows.row(index, target, Op::Upsert, None, |position, _, out| match position {
        0 => encode_text(&operation, out),
        1 => encode_text(&parent, out),
        _ => encode_built_jsonb(out, |out| {
            serde_json::to_writer(out, &children).map_err(|error| malformed(error.to_string()))
        }),
    })
}

/// One name, or several.
fn names(json: Json<'_>) -> Result<Vec<Cow<'_, str>>, Rejection> {
    if let Kind::String(name) = json.kind()? {
        return Ok(vec![name]);
    }
    let mut names = Vec::new();
    visit_array(json.text(), |_, name| {
        names.push(name.string()?);
        Ok(())
    })?;
    Ok(names)
}
