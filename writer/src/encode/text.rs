//! `text` and its kin.

use super::{excerpt, field};
use crate::rejection::{Rejection, SqlState};

/// Appends a text of any length.
pub fn encode_text(text: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    check_text(text)?;
    field::variable(out, |out| {
        out.extend_from_slice(text.as_bytes());
        Ok(())
    })
}

/// Refuses a text that PostgreSQL can't hold.
pub fn check_text(text: &str) -> Result<(), Rejection> {
    match text.bytes().position(|byte| byte == 0) {
        None => Ok(()),
        Some(position) => Err(Rejection::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("text cannot hold the NUL at byte {position}"),
        )),
    }
}

/// Appends a name, which PostgreSQL wants in less than 64 bytes.
pub fn encode_name(text: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    if text.len() > 63 {
        return Err(Rejection::new(
            SqlState::NAME_TOO_LONG,
            format!("name is longer than 63 bytes: {}", excerpt(text)),
        ));
    }
    encode_text(text, out)
}
