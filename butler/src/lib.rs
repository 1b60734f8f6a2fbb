//! The pure rules of a Butler repository.
//!
//! A repository says itself which dimensions there are: [`Universe`]. From that follow the groups of
//! dimensions that dataset types have, and the tables of each group: [`GroupTable`], with the names
//! that [`names`] makes.
#![forbid(unsafe_code)]

pub mod names;

mod attributes;
mod dataset_type;
mod group_table;
mod universe;

pub use attributes::Attributes;
pub use dataset_type::{BadName, NoTable, check_group, check_name};
pub use group_table::{GroupTable, TableKind};
pub use universe::{Element, Key, KeyType, Universe, UniverseError, UnknownDimension};
