//! `json`, `jsonb`: passed on as text, after a look for what PostgreSQL would refuse.

use serde_json::value::RawValue;

use super::{field, numeric};
use crate::json::{malformed, utf8};
use crate::rejection::{Rejection, SqlState};

/// Deepest nesting that is passed on. PostgreSQL's parser recurses, and gives up where its stack
/// ends.
const DEEPEST: usize = 128;

/// Longest jsonb text, in bytes: PostgreSQL's array of a container's members must stay below 1 GiB.
const LONGEST_JSONB: usize = 16 << 20;

/// The version of jsonb's wire format.
const JSONB_VERSION: u8 = 1;

/// Appends a JSON text, which must be valid.
pub fn encode_json(text: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    scan(text, false)?;
    field::variable(out, |out| {
        out.extend_from_slice(text.as_bytes());
        Ok(())
    })
}

/// Appends a JSON text, which must be valid, as jsonb.
pub fn encode_jsonb(text: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    check_jsonb(text)?;
    field::variable(out, |out| {
        out.push(JSONB_VERSION);
        out.extend_from_slice(text.as_bytes());
        Ok(())
    })
}

/// Appends as jsonb the JSON text that `write` appends, which must be valid.
pub fn encode_built_jsonb(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    field::variable(out, |out| {
        out.push(JSONB_VERSION);
        let start = out.len();
        write(out)?;
        check_jsonb(utf8(&out[start..])?)
    })
}

/// The literal itself, which json keeps blank for blank; refused if it is no JSON.
pub fn checked(literal: &str) -> Result<&str, Rejection> {
    serde_json::from_str::<&RawValue>(literal)
        .map(|_| literal)
        .map_err(|error| malformed(format!("invalid JSON: {error}")))
}

/// Refuses a valid JSON text that jsonb cannot hold.
fn check_jsonb(text: &str) -> Result<(), Rejection> {
    if text.len() > LONGEST_JSONB {
        return Err(too_large(format!(
            "a jsonb value of {} bytes is longer than {LONGEST_JSONB}",
            text.len()
        )));
    }
    scan(text, true)
}

/// Looks at every token. `strictly` is jsonb's way, which reads strings and numbers.
fn scan(text: &str, strictly: bool) -> Result<(), Rejection> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b'"' => scan_string(text, at + 1, strictly)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(too_large(format!("JSON is nested deeper than {DEEPEST} levels")));
                }
                at + 1
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                if strictly {
                    numeric::check(&text[at..at + length])?;
                }
                at + length
            }
            _ => at + 1,
        };
    }
    Ok(())
}

/// The position after the string whose inside begins at `at`.
fn scan_string(text: &str, mut at: usize, strictly: bool) -> Result<usize, Rejection> {
    let bytes = text.as_bytes();
    let mut high_surrogate = false;
    loop {
        let escape = match bytes.get(at) {
            None => return Err(malformed("invalid JSON: string is not closed")),
            Some(b'\\') => bytes.get(at + 1).copied(),
            Some(b'"') if high_surrogate => return Err(lone_surrogate()),
            Some(b'"') => return Ok(at + 1),
            Some(_) => None,
        };
        let code = match escape {
            Some(b'u') if strictly => {
                let digits = text.get(at + 2..at + 6).unwrap_or_default();
                u16::from_str_radix(digits, 16).ok()
            }
            _ => None,
        };
        match code {
            Some(0) => {
                return Err(Rejection::new(
                    SqlState::UNTRANSLATABLE_CHARACTER,
                    "jsonb cannot hold \\u0000",
                ));
            }
            Some(0xd800..=0xdbff) if !high_surrogate => high_surrogate = true,
            Some(0xdc00..=0xdfff) if high_surrogate => high_surrogate = false,
            Some(0xd800..=0xdfff) => return Err(lone_surrogate()),
            _ if high_surrogate => return Err(lone_surrogate()),
            _ => {}
        }
        at += match escape {
            Some(b'u') => 6,
            Some(_) => 2,
            None => 1,
        };
    }
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
}

fn lone_surrogate() -> Rejection {
    malformed("invalid JSON: a Unicode surrogate without its other half")
}

fn too_large(message: String) -> Rejection {
    Rejection::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}
