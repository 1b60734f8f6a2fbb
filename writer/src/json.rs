//! JSON read where it lies: objects and arrays are walked one level at a time, and values stay
//! slices of the message until somebody asks. Nothing here recurses, whatever the nesting.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::rejection::{Rejection, SqlState};

/// A JSON value, as the text that the message has for it: syntactically valid, without blanks
/// around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

/// What a JSON value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as its text.
    Number(&'a str),
    /// A string, its escapes resolved.
    String(Cow<'a, str>),
    /// An array; see [`visit_array`].
    Array,
    /// An object; see [`visit_object`].
    Object,
}

impl<'a> Json<'a> {
    /// The one value that `text` must be.
    pub fn read(text: &'a str) -> Result<Self, Rejection> {
        let value: &RawValue = serde_json::from_str(text).map_err(|error| syntax(&error))?;
        Ok(Self(value.get()))
    }

    /// The value's text.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Whether this is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// What the value is. Fails for strings with a lone surrogate, which are no text.
    pub fn kind(self) -> Result<Kind<'a>, Rejection> {
        Ok(match self.0.as_bytes().first() {
            Some(b'n') => Kind::Null,
            Some(b't') => Kind::Bool(true),
            Some(b'f') => Kind::Bool(false),
            Some(b'"') => Kind::String(self.unescape()?),
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            _ => Kind::Number(self.0),
        })
    }

    /// The string that this is; any other value is refused.
    pub fn string(self) -> Result<Cow<'a, str>, Rejection> {
        match self.kind()? {
            Kind::String(text) => Ok(text),
            other => Err(malformed(format!("expected a string, found {other}"))),
        }
    }

    fn unescape(self) -> Result<Cow<'a, str>, Rejection> {
        let inner = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match inner {
            Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
            _ => serde_json::from_str(self.0).map(Cow::Owned).map_err(|error| syntax(&error)),
        }
    }
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// The text of a message, which must be UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(bytes).map_err(|error| {
        Rejection::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("not valid UTF-8 at byte {}", error.valid_up_to()),
        )
    })
}

/// Calls `visit` for every member of the object that `text` must be, in order, the first refusal
/// ending it. Keys that come twice are given twice.
pub fn visit_object<'a>(
    text: &'a str,
    visit: impl FnMut(Cow<'a, str>, Json<'a>) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let mut refused = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer
        .deserialize_map(ObjectVisitor { visit, refused: &mut refused })
        .and_then(|()| deserializer.end())
        .map_err(|error| refused.unwrap_or_else(|| syntax(&error)))
}

/// Calls `visit` for every element of the array that `text` must be, with its index, the first
/// refusal ending it.
pub fn visit_array<'a>(
    text: &'a str,
    visit: impl FnMut(usize, Json<'a>) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let mut refused = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer
        .deserialize_seq(ArrayVisitor { visit, refused: &mut refused })
        .and_then(|()| deserializer.end())
        .map_err(|error| refused.unwrap_or_else(|| syntax(&error)))
}

/// Puts a member into its place; a second one is refused.
pub fn set_once<'a>(
    slot: &mut Option<Json<'a>>,
    key: &str,
    value: Json<'a>,
) -> Result<(), Rejection> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(duplicate_key(key)),
    }
}

/// The refusal of an object that has a key twice.
pub fn duplicate_key(key: &str) -> Rejection {
    Rejection::new(SqlState::DUPLICATE_JSON_KEY, format!("key \"{key}\" comes twice"))
}

/// The refusal of JSON that has not the shape that it should have.
pub fn malformed(message: impl Into<String>) -> Rejection {
    Rejection::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
}

fn syntax(error: &serde_json::Error) -> Rejection {
    malformed(if error.is_data() { error.to_string() } else { format!("invalid JSON: {error}") })
}

/// A key of an object; borrowed unless it has escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

struct ObjectVisitor<'s, F> {
    visit: F,
    refused: &'s mut Option<Rejection>,
}

impl<'de, F> Visitor<'de> for ObjectVisitor<'_, F>
where
    F: FnMut(Cow<'de, str>, Json<'de>) -> Result<(), Rejection>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            let value: &'de RawValue = map.next_value()?;
            if let Err(rejection) = (self.visit)(key, Json(value.get())) {
                *self.refused = Some(rejection);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

struct ArrayVisitor<'s, F> {
    visit: F,
    refused: &'s mut Option<Rejection>,
}

impl<'de, F> Visitor<'de> for ArrayVisitor<'_, F>
where
    F: FnMut(usize, Json<'de>) -> Result<(), Rejection>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(value) = array.next_element::<&'de RawValue>()? {
            if let Err(rejection) = (self.visit)(index, Json(value.get())) {
                *self.refused = Some(rejection);
                return Err(A::Error::custom("refused"));
            }
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Json, Kind, utf8, visit_array, visit_object};
    use crate::rejection::Rejection;

    fn members(text: &str) -> Result<Vec<(String, String)>, Rejection> {
        let mut found = Vec::new();
        visit_object(text, |key, value| {
            found.push((key.into_owned(), value.text().to_owned()));
            Ok(())
        })?;
        Ok(found)
    }

    fn elements(text: &str) -> Result<Vec<Json<'_>>, Rejection> {
        let mut found = Vec::new();
        visit_array(text, |_, value| {
            found.push(value);
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn keeps_the_text_of_values() {
        let found = members(r#" {"a\n": 1.50 , "b":[1, 2] ,"b": "x"} "#).unwrap();
        let expected = [("a\n", "1.50"), ("b", "[1, 2]"), ("b", "\"x\"")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn tells_kinds() {
        let kinds: Vec<_> = elements(r#"[null,true,false,-1e5,"a","\u00e9",[1],{}]"#)
            .unwrap()
            .into_iter()
            .map(|value| value.kind().unwrap())
            .collect();
        let expected = [
            Kind::Null,
            Kind::Bool(true),
            Kind::Bool(false),
            Kind::Number("-1e5"),
            Kind::String(Cow::Borrowed("a")),
            Kind::String(Cow::Borrowed("é")),
            Kind::Array,
            Kind::Object,
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn refuses_what_is_no_object() {
        for text in ["", " ", "[]", "1", "\"x\"", "{", "{\"a\"}", "{} x", "{\"a\":1,}", "nul"] {
            let rejection = members(text).unwrap_err();
            assert_eq!(rejection.sqlstate.as_str(), "22P02", "{text}");
            assert!(rejection.message.contains("line 1 column"), "{}", rejection.message);
        }
    }

    #[test]
    fn refuses_lone_surrogates_but_not_pairs() {
        let values = elements(r#"["\ud83d\ude00", "\ud83d", "\ude00"]"#).unwrap();
        assert_eq!(values[0].string().unwrap(), "😀");
        assert!(values[1].string().is_err());
        assert!(values[2].string().is_err());
    }

    #[test]
    fn does_not_recurse() {
        let deep = format!("{{\"a\":{}}}", "[".repeat(3_000_000));
        assert!(members(&deep).is_err());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(members(&deep).unwrap().len(), 1);
    }

    #[test]
    fn stops_at_the_first_refusal() {
        let mut calls = 0;
        let result = visit_array("[1,2,3", |index, _| {
            calls += 1;
            if index == 1 { Err(super::malformed("mine")) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err().message, "mine");
        assert_eq!(calls, 2);
    }

    #[test]
    fn says_where_utf8_ends() {
        assert_eq!(utf8(b"ab\xff").unwrap_err().message, "not valid UTF-8 at byte 2");
        assert_eq!(utf8(b"ab\xff").unwrap_err().sqlstate.as_str(), "22021");
    }
}
