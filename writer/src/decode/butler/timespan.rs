//! Timespans: `[begin, end]` in nanoseconds TAI since 1970.

use super::integral::integral;
use crate::encode::int8range::Int8range;
use crate::json::{Json, Kind, malformed, visit_array};
use crate::rejection::{Rejection, SqlState};

/// 2100-01-01 TAI: what stands for an end that is unbounded; 0 stands for such a begin.
const UNBOUNDED_END: i64 = 4_102_444_800_000_000_000;

/// The range that the registry stores for a timespan.
pub fn timespan(value: Json<'_>) -> Result<Int8range, Rejection> {
    let mut bounds = [0; 2];
    let mut count = 0;
    visit_array(value.text(), |index, bound| {
        count = index + 1;
        let Some(slot) = bounds.get_mut(index) else { return Ok(()) };
        *slot = match bound.kind()? {
            Kind::Number(number) => integral(number)?,
            other => return Err(malformed(format!("a bound of a timespan is {other}"))),
        };
        Ok(())
    })?;
    if count != 2 {
        return Err(malformed(format!("a timespan has two bounds, not {count}")));
    }
    let [begin, end] = bounds;
    if begin >= end {
        return Ok(Int8range::Empty);
    }
    if begin < 0 || end > UNBOUNDED_END {
        return Err(Rejection::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("timespan [{begin}, {end}] is not within the years 1970 to 2100"),
        ));
    }
    Ok(Int8range::Bounds {
        lower: (begin != 0).then_some(begin),
        upper: (end != UNBOUNDED_END).then_some(end),
    })
}

#[cfg(test)]
mod tests {
    use super::{Int8range, timespan};
    use crate::json::{Json, visit_array};

    fn read(text: &str) -> Result<Int8range, crate::rejection::Rejection> {
        let list = format!("[{text}]");
        let mut found = None;
        visit_array(&list, |_, value: Json<'_>| {
            found = Some(timespan(value));
            Ok(())
        })?;
        found.unwrap()
    }

    #[test]
    fn follows_the_registry() {
        let max = super::UNBOUNDED_END;
        for (text, lower, upper) in [
            ("[1,2]".to_owned(), Some(1), Some(2)),
            ("[1.0,2e0]".to_owned(), Some(1), Some(2)),
            ("[0,5]".to_owned(), None, Some(5)),
            (format!("[5,{max}]"), Some(5), None),
            (format!("[0,{max}]"), None, None),
        ] {
            assert_eq!(read(&text).unwrap(), Int8range::Bounds { lower, upper }, "{text}");
        }
        for text in ["[2,1]", "[1,1]", "[-1,-1]", "[0,0]"] {
            assert_eq!(read(text).unwrap(), Int8range::Empty, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["[-1,5]", "[1,4102444800000000001]", "[1]", "[]", "[1,2,3]", "[1,null]"] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in
            ["[1.5,2]", "[\"1\",2]", "{\"begin\":1}", "5", "\"x\"", "[1,99999999999999999999]"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
