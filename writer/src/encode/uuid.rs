//! `uuid`

use uuid::Uuid;

use super::invalid;
use crate::rejection::Rejection;

/// The UUID: with or without hyphens, in braces, or as a URN.
pub fn parse(literal: &str) -> Result<Uuid, Rejection> {
    Uuid::parse_str(literal).map_err(|_| invalid("uuid", literal))
}
