//! `boolean`

use super::{field, invalid};
use crate::rejection::Rejection;

/// Appends the boolean that PostgreSQL reads in this literal: a prefix of true, false, yes, no,
/// on or off that is not ambiguous, or a digit.
pub fn encode(literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let word = literal.trim_ascii().to_ascii_lowercase();
    let is = |full: &str, shortest: usize| word.len() >= shortest && full.starts_with(&word);
    let truth = if is("true", 1) || is("yes", 1) || is("on", 2) || word == "1" {
        true
    } else if is("false", 1) || is("no", 1) || is("off", 2) || word == "0" {
        false
    } else {
        return Err(invalid("boolean", literal));
    };
    field::fixed(&[u8::from(truth)], out);
    Ok(())
}
