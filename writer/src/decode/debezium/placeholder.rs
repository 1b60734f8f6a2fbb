//! The placeholder that stands for a value which the source's log did not have: a large one
//! (TOASTed, a LOB) that an update has left as it was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::json::Json;

/// The placeholder in each of the shapes that Debezium gives it, by the column's type.
#[derive(Debug, Clone)]
pub struct Placeholder {
    shapes: [String; 5],
}

impl Placeholder {
    /// The shapes of this text.
    pub fn new(text: &str) -> Self {
        let shapes = [
            json!(text),
            json!(STANDARD.encode(text)),
            json!([text]),
            json!(text.as_bytes()),
            json!({ text: text }),
        ];
        Self { shapes: shapes.map(|shape| shape.to_string()) }
    }

    /// Whether a value is the placeholder.
    pub fn is(&self, value: Json<'_>) -> bool {
        self.shapes.iter().any(|shape| shape == value.text())
    }
}
