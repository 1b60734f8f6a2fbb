//! What is measured.

use clap::{ValueEnum, builder::PossibleValue};

use crate::{stream::Stream, system::System};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Rows of one table.
    Rows(Stream),
    /// Visits of a camera into a Butler repository.
    Butler,
}

impl Scenario {
    /// In the order of the report.
    pub const ALL: &[Self] = &[
        Self::Rows(Stream::Plain),
        Self::Rows(Stream::RepeatedKeys),
        Self::Rows(Stream::BadEvents),
        Self::Rows(Stream::Unchanged),
        Self::Rows(Stream::Compressed),
        Self::Butler,
    ];

    /// Who can do it. A COPY can't update, and a statement of SQL can't tell good from bad.
    pub fn systems(self) -> &'static [System] {
        match self {
            Self::Rows(Stream::Plain) => System::OF_ROWS,
            Self::Rows(Stream::RepeatedKeys | Stream::Unchanged) => System::UPDATING,
            Self::Rows(Stream::BadEvents | Stream::Compressed) => System::FROM_KAFKA,
            Self::Butler => System::OF_BUTLER,
        }
    }

    /// As it is named on the command line, and in files.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl ValueEnum for Scenario {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Rows(stream) => stream.to_possible_value(),
            Self::Butler => Some(PossibleValue::new("butler")),
        }
    }
}
