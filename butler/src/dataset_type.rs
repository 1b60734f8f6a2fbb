//! Which names and groups of dimensions dataset types may have.

use crate::universe::{Element, Universe};

/// Why a name is none for a dataset type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It is spelt otherwise than names are.
    #[error("{0:?} is no name of a dataset type: letters, digits and _, no digit first")]
    Spelling(String),
    /// It names a part of a dataset.
    #[error("{0:?} is a component; only whole datasets are ingested")]
    Component(String),
    /// It is a dimension that collections are summed up by.
    #[error("{0:?} is a governor dimension, and so no name of a dataset type")]
    Governor(String),
}

/// Checks the name of a dataset type that is to be ingested.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str, universe: &Universe) -> Result<(), BadName> {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let is_word = |word: &str| {
        word.starts_with(is_first)
            && word.chars().all(|letter| is_first(letter) || letter.is_ascii_digit())
    };
    if !name.split('.').all(is_word) {
        return Err(BadName::Spelling(name.to_owned()));
    }
    if name.contains('.') {
        return Err(BadName::Component(name.to_owned()));
    }
    if universe.element(name).is_some_and(|element| element.is_governor) {
        return Err(BadName::Governor(name.to_owned()));
    }
    Ok(())
}

/// A group has no table, since this dimension is reached by way of one that another one implies: it has
/// no column of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no table can have datasets of {dimension}: other dimensions of the group imply {implied}")]
pub struct NoTable {
    /// The dimension.
    dimension: String,
    /// Part of its key.
    implied: String,
}

/// Checks the group that has these required dimensions.
///
/// # Errors
/// If it can have no table.
pub fn check_group(required: &[&Element], universe: &Universe) -> Result<(), NoTable> {
    let has_column = |element: &Element| required.iter().any(|one| one.name == element.name);
    for dimension in required.iter().filter(|dimension| dimension.has_table) {
        if let Some(implied) = universe.own_required(dimension).find(|own| !has_column(own)) {
            let (dimension, implied) = (dimension.name.clone(), implied.name.clone());
            return Err(NoTable { dimension, implied });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BadName, check_group, check_name};
    use crate::universe::tests::sample;

    #[test]
    fn names_are_words() {
        let universe = sample();
        for name in ["raw", "_x9", "calexp_2", &"long".repeat(100), "visit"] {
            assert_eq!(check_name(name, &universe), Ok(()), "{name}");
        }
        for name in ["", "9a", "a-b", "a b", "a.", ".a", "é"] {
            let bad = check_name(name, &universe);
            assert_eq!(bad, Err(BadName::Spelling(name.to_owned())), "{name}");
        }
        let component = check_name("calexp.wcs", &universe);
        assert_eq!(component, Err(BadName::Component("calexp.wcs".to_owned())));
        for name in ["instrument", "skymap"] {
            assert_eq!(check_name(name, &universe), Err(BadName::Governor(name.to_owned())));
        }
    }

    #[test]
    fn a_subfilter_needs_its_band_in_the_table() {
        let universe = sample();
        let check = |names: [&str; 2]| {
            let required = universe.required(names).unwrap();
            check_group(&required, &universe).map_err(|error| error.to_string())
        };
        for names in [["subfilter", "band"], ["subfilter", "detector"], ["visit", "band"]] {
            assert_eq!(check(names), Ok(()), "{names:?}");
        }
        let message =
            "no table can have datasets of subfilter: other dimensions of the group imply band";
        for names in [["subfilter", "physical_filter"], ["visit", "subfilter"]] {
            assert_eq!(check(names), Err(message.to_owned()), "{names:?}");
        }
    }
}
