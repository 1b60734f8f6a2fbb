//! Data IDs: dimension names with integers or strings.

use std::borrow::Cow;

use forebay_butler::Universe;

use super::integral::integral;
use crate::encode::encode_built_jsonb;
use crate::json::{Json, Kind, duplicate_key, malformed, visit_object};
use crate::rejection::{Rejection, SqlState};

/// More keys than any universe has dimensions.
const MOST_KEYS: usize = 200;

/// Writes the data IDs of an event's datasets.
#[derive(Debug)]
pub(super) struct DataIds<'a> {
    universe: &'a Universe,
    /// The keys of the last one, which are good: most datasets have the same.
    good_keys: Vec<String>,
}

impl<'a> DataIds<'a> {
    /// By the dimensions of this universe.
    pub fn new(universe: &'a Universe) -> Self {
        Self { universe, good_keys: Vec::new() }
    }

    /// Appends a data ID as jsonb, its values as the official client reads them: `2.0` is 2, and
    /// `true` is 1. It must have all that its own keys require; what its dataset type requires, the
    /// database says.
    pub fn encode(&mut self, data_id: Json<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let mut keys: Vec<Cow<'_, str>> = Vec::new();
        encode_built_jsonb(out, |out| {
            out.push(b'{');
            visit_object(data_id.text(), |key, value| {
                if keys.len() == MOST_KEYS {
                    return Err(Rejection::new(
                        SqlState::PROGRAM_LIMIT_EXCEEDED,
                        format!("a data ID has more than {MOST_KEYS} keys"),
                    ));
                }
                if keys.contains(&key) {
                    return Err(duplicate_key(&key));
                }
                if !keys.is_empty() {
                    out.push(b',');
                }
                write_member(&key, value, out)
                    .map_err(|rejection| rejection.within(format_args!("data ID key {key:?}")))?;
                keys.push(key);
                Ok(())
            })?;
            out.push(b'}');
            Ok(())
        })?;
        if !self.good_keys.iter().eq(keys.iter()) {
            self.check_keys(&keys)?;
            self.good_keys = keys.into_iter().map(Cow::into_owned).collect();
        }
        Ok(())
    }

    fn check_keys(&self, keys: &[Cow<'_, str>]) -> Result<(), Rejection> {
        let required = self.universe.required(keys.iter().map(|key| &**key));
        let required = required.map_err(|unknown| malformed(unknown.to_string()))?;
        match required.iter().find(|element| keys.iter().all(|key| *key != element.name)) {
            Some(missing) => Err(malformed(format!(
                "the data ID lacks {}, which its other dimensions require",
                missing.name
            ))),
            None => Ok(()),
        }
    }
}

fn write_member(key: &str, value: Json<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    serde_json::to_writer(&mut *out, key).map_err(|error| malformed(error.to_string()))?;
    out.push(b':');
    let number = match value.kind()? {
        Kind::String(_) => {
            out.extend_from_slice(value.text().as_bytes());
            return Ok(());
        }
        Kind::Number(number) => integral(number)?,
        Kind::Bool(truth) => i64::from(truth),
        other => return Err(malformed(format!("{other} is neither an integer nor a string"))),
    };
    out.extend_from_slice(number.to_string().as_bytes());
    Ok(())
}
