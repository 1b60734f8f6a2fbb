//! Data IDs: dimension names with integers or strings.

use std::borrow::Cow;

use super::integral::integral;
use crate::encode::encode_built_jsonb;
use crate::json::{Json, Kind, duplicate_key, malformed, visit_object};
use crate::rejection::{Rejection, SqlState};

/// More keys than any universe has dimensions.
const MOST_KEYS: usize = 200;

/// Appends a data ID as jsonb, its values as the official client reads them: `2.0` is 2, `true`
/// is 1. Which dimensions it needs, the database says.
pub fn encode_data_id(data_id: Json<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    encode_built_jsonb(out, |out| {
        let mut keys: Vec<Cow<'_, str>> = Vec::new();
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
    })
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
