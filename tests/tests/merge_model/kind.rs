//! The types of columns, and their values as literals.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    /// An `int8`.
    Big,
    Text,
    /// Text whose collation takes upper and lower case as equal.
    Folded,
    /// Rounds what it is given, and overflows.
    Numeric,
    /// An `int4` that refuses 7.
    Domain,
    Enum,
}

/// What the kinds are made of; both copies of a schema share it.
pub const TYPES: &str = "
    create schema model;
    create collation model.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create domain model.small as int4 constraint small_check check (value <> 7);
    create type model.mood as enum ('e0', 'e1', 'e2', 'e3', 'e4', 'e5', 'e6');";

impl Kind {
    pub fn random(rng: &mut StdRng) -> Self {
        match rng.random_range(0..11) {
            0..5 => Self::Int,
            5 => Self::Text,
            6 => Self::Folded,
            7 => Self::Numeric,
            8 => Self::Domain,
            9 => Self::Big,
            _ => Self::Enum,
        }
    }

    /// The type of a column that refers to one of this type: mostly the same.
    pub fn random_referring(self, rng: &mut StdRng) -> Self {
        let others: &[Self] = match self {
            Self::Int => &[Self::Big, Self::Domain],
            Self::Big => &[Self::Int, Self::Domain],
            Self::Numeric => &[Self::Int, Self::Big],
            Self::Domain => &[Self::Int, Self::Big],
            Self::Text | Self::Folded | Self::Enum => &[],
        };
        let other = others.choose(rng).copied().unwrap_or(self);
        if rng.random_bool(0.3) { other } else { self }
    }

    /// The type, as a cast names it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Int => "int4",
            Self::Big => "int8",
            Self::Text | Self::Folded => "text",
            Self::Numeric => "numeric(3,1)",
            Self::Domain => "model.small",
            Self::Enum => "model.mood",
        }
    }

    /// The type, as a column declares it.
    pub fn declaration(self) -> &'static str {
        match self {
            Self::Folded => "text collate model.folded",
            other => other.type_name(),
        }
    }

    /// The literal of a small number. Some numbers give literals of equal values.
    pub fn literal(self, number: u32) -> String {
        match self {
            Self::Int | Self::Big => number.to_string(),
            Self::Text => format!("t{number}"),
            Self::Folded if number % 2 == 1 => format!("K{}", number / 2),
            Self::Folded => format!("k{}", number / 2),
            Self::Numeric => match number {
                1 => "1".to_owned(),
                2 => "1.04".to_owned(),
                3 => "0.96".to_owned(),
                other => format!("{}.{}", other / 2, other % 2),
            },
            Self::Domain if number == 7 => "17".to_owned(),
            Self::Domain => number.to_string(),
            Self::Enum => format!("e{}", number % 7),
        }
    }

    /// A literal that can be staged, and that the column refuses.
    pub fn bad_literal(self) -> Option<&'static str> {
        match self {
            Self::Int | Self::Big | Self::Text | Self::Folded => None,
            Self::Numeric => Some("99.96"),
            Self::Domain => Some("7"),
            Self::Enum => Some("e7"),
        }
    }
}
