//! Where a partition is to go on, as a person says it.

use std::str::FromStr;

use jiff::Timestamp;

use crate::position::Offset;

/// Where a partition is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoOn {
    /// At this offset.
    Offset(Offset),
    /// Where the log begins.
    Earliest,
    /// At the log's end.
    Latest,
    /// At the first record of this time or later; at the end if there is none.
    At(Timestamp),
}

impl FromStr for GoOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(offset) = text.parse::<i64>() {
            return match offset {
                0.. => Ok(Self::Offset(Offset(offset))),
                _ => Err("offsets begin at 0".to_owned()),
            };
        }
        text.parse().map(Self::At).map_err(|_| {
            "expected an offset, earliest, latest, or a time such as 2026-01-31T12:00:00Z"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::GoOn;
    use crate::position::Offset;

    #[test]
    fn reads_offsets_words_and_times() {
        assert_eq!("17".parse(), Ok(GoOn::Offset(Offset(17))));
        assert_eq!("earliest".parse(), Ok(GoOn::Earliest));
        assert_eq!("latest".parse(), Ok(GoOn::Latest));
        let time = "2026-01-31T12:00:00Z";
        assert_eq!(time.parse(), Ok(GoOn::At(time.parse().unwrap())));
        for wrong in ["-1", "", "begin", "2026-01-31", "99999999999999999999"] {
            assert!(wrong.parse::<GoOn>().is_err(), "{wrong}");
        }
    }
}
