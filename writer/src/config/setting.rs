//! One setting as it was given: its text, its kind, its place.

use toml::de::DeValue;

use super::problem::Place;

/// A value before it has a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A quoted string.
    Text(String),
    /// A number or a boolean, as it is written.
    Bare(String),
    /// A list of strings.
    List(Vec<String>),
    /// The text of an environment variable, which may stand for any of these.
    Variable(String),
}

/// A setting with the place where it was given.
#[derive(Debug, Clone)]
pub struct Setting {
    /// `section.key`.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Where it was given.
    pub place: Place,
}

impl Value {
    /// The value of a TOML value, if it is of a kind that a setting can have.
    pub fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Self::Text(text.to_string())),
            DeValue::Integer(number) => Some(Self::Bare(number.as_str().to_owned())),
            DeValue::Float(number) => Some(Self::Bare(number.as_str().to_owned())),
            DeValue::Boolean(value) => Some(Self::Bare(value.to_string())),
            DeValue::Datetime(time) => Some(Self::Text(time.to_string())),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .map(Self::List),
            DeValue::Table(_) => None,
        }
    }

    /// The text of a string or a variable.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Variable(text) => Some(text),
            Self::Bare(_) | Self::List(_) => None,
        }
    }

    /// The digits of a number or a variable.
    pub fn number(&self) -> Option<&str> {
        match self {
            Self::Bare(text) | Self::Variable(text) => Some(text.trim()),
            Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The items of a list; of a variable, its parts between commas.
    pub fn list(&self) -> Option<Vec<String>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Variable(text) => Some(
                text.split(',')
                    .map(|item| item.trim().to_owned())
                    .filter(|item| !item.is_empty())
                    .collect(),
            ),
            Self::Text(_) | Self::Bare(_) => None,
        }
    }
}
