//! Bytes of an event: as text where they are text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::text_table::printable;

/// The longest key or header that is shown in hexadecimal, in bytes.
const LONGEST_HEX: usize = 4096;

/// For people: text with what commands a terminal escaped, line by line; else hexadecimal.
pub fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.split('\n').map(printable).collect::<Vec<_>>().join("\n"),
        Err(_) => {
            let digits = bytes.iter().take(LONGEST_HEX).map(|byte| format!("{byte:02x}"));
            let digits: String = digits.collect();
            match bytes.len().checked_sub(LONGEST_HEX) {
                None | Some(0) => format!("\\x{digits}"),
                Some(rest) => format!("\\x{digits}… and {rest} bytes more (see --raw)"),
            }
        }
    }
}

/// For programs: `{"text": …}`, `{"base64": …}`, or null.
pub fn as_json(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{as_json, shown};

    #[test]
    fn is_text_where_it_is_text() {
        assert_eq!(shown(b"{\n\"a\": \"\x1b\"}"), "{\n\"a\": \"\\u{1b}\"}");
        assert_eq!(shown(b"\xff\x00"), "\\xff00");
        assert!(shown(&[0xff; 5000]).ends_with("ff… and 904 bytes more (see --raw)"));
        assert_eq!(as_json(Some(b"a")), json!({"text": "a"}));
        assert_eq!(as_json(Some(b"\xff\x00")), json!({"base64": "/wA="}));
        assert_eq!(as_json(None), json!(null));
    }
}
