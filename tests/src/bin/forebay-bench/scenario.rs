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
    /// From produce to visible on the replica.
    Latency,
    /// The same batch into ever larger tables.
    Growth,
    /// Memory with a long backlog.
    Backlog,
}

impl Scenario {
    /// In the order of the report.
    pub const ALL: &[Self] = &[
        Self::Rows(Stream::Plain),
        Self::Rows(Stream::RepeatedKeys),
        Self::Rows(Stream::BadEvents),
        Self::Rows(Stream::Unchanged),
        Self::Rows(Stream::Changed),
        Self::Rows(Stream::ForeignKeys),
        Self::Rows(Stream::Compressed),
        Self::Butler,
        Self::Latency,
        Self::Growth,
        Self::Backlog,
    ];

    /// Whether it is measured only when it is named.
    pub fn takes_long(self) -> bool {
        matches!(self, Self::Growth | Self::Backlog)
    }

    /// Who is compared. A COPY can't update, and a statement of SQL can't tell good from bad.
    pub fn systems(self) -> &'static [System] {
        match self {
            Self::Rows(Stream::Plain | Stream::ForeignKeys) => System::OF_ROWS,
            Self::Rows(Stream::RepeatedKeys | Stream::Unchanged | Stream::Changed) => {
                System::UPDATING
            }
            Self::Rows(Stream::BadEvents | Stream::Compressed) => System::FROM_KAFKA,
            Self::Butler => System::OF_BUTLER,
            Self::Latency | Self::Growth | Self::Backlog => &[],
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
            Self::Latency => Some(PossibleValue::new("latency")),
            Self::Growth => Some(PossibleValue::new("growth")),
            Self::Backlog => Some(PossibleValue::new("backlog")),
        }
    }
}
