//! Schemas that were read before: every message repeats its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::row_schema::RowSchema;
use crate::json::Json;
use crate::rejection::Rejection;

/// How many schemas are kept.
const MOST: usize = 64;

/// The longest schema that is kept, in bytes.
const LONGEST: usize = 64 << 10;

/// Schemas by their text.
#[derive(Debug, Default)]
pub struct SchemaCache(Mutex<HashMap<Box<str>, Arc<RowSchema>>>);

impl SchemaCache {
    /// What a schema says.
    pub fn get(&self, schema: Json<'_>) -> Result<Arc<RowSchema>, Rejection> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(schema.text()) {
            return Ok(known.clone());
        }
        let read = Arc::new(RowSchema::read(schema.text())?);
        if schema.text().len() <= LONGEST {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(schema.text().into(), read.clone());
        }
        Ok(read)
    }
}
