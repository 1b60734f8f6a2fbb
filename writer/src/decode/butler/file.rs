//! The files that an event names, for those who look whether they are there.

use std::borrow::Cow;
use std::fmt;

use super::path::DatastoreRoot;
use super::{Event, not_finite, required};
use crate::json::{Json, Kind, malformed, set_once, utf8, visit_array, visit_object};
use crate::rejection::Rejection;

/// A file of an event, and what the event says of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFile<'a> {
    /// Where it is, relative to the datastore's root.
    pub path: Cow<'a, str>,
    /// Its length in bytes, if the event says it.
    pub size: Option<u64>,
    /// Its checksum, if the event says it.
    pub checksum: Option<Checksum>,
}

/// A checksum as the official client computes them: BLAKE2b of 512 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Checksum(pub Box<[u8; 64]>);

impl Checksum {
    /// Reads hexadecimal digits.
    fn parse(digits: &str) -> Option<Self> {
        let digits: Vec<u8> = digits
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
            .collect::<Option<_>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Box<[u8]> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        Some(Self(bytes.try_into().ok()?)).filter(|_| rest.is_empty())
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The files of an event, in its order; one may come several times.
///
/// # Errors
/// If the message is no event, or `file_size` or `checksum` is malformed. What else is wrong with the
/// datasets is not looked at.
pub fn files_of<'a>(
    payload: &'a [u8],
    root: &DatastoreRoot,
) -> Result<Vec<EventFile<'a>>, Rejection> {
    let text = utf8(payload)?;
    let refused = match Event::read(text) {
        Ok(event) => return files_in(&event, root),
        Err(refused) => refused,
    };
    let text = not_finite::replaced(text).ok_or(refused)?;
    let files = Event::read(&text).and_then(|event| files_in(&event, root));
    let files = files.map_err(not_finite::restored)?;
    Ok(files.into_iter().map(EventFile::into_owned).collect())
}

fn files_in<'a>(event: &Event<'a>, root: &DatastoreRoot) -> Result<Vec<EventFile<'a>>, Rejection> {
    let mut files = Vec::new();
    visit_array(event.datasets.text(), |index, dataset| {
        let within = |rejection: Rejection| rejection.within(format_args!("datasets[{index}]"));
        files.push(EventFile::read(dataset, root).map_err(within)?);
        Ok(())
    })?;
    Ok(files)
}

impl<'a> EventFile<'a> {
    fn read(dataset: Json<'a>, root: &DatastoreRoot) -> Result<Self, Rejection> {
        let (mut path, mut size, mut checksum) = (None, None, None);
        visit_object(dataset.text(), |key, value| match &*key {
            "path" => set_once(&mut path, "path", value),
            "file_size" => set_once(&mut size, "file_size", value),
            "checksum" => set_once(&mut checksum, "checksum", value),
            _ => Ok(()),
        })?;
        let path = root.relative(required(path, "path")?.string()?)?;
        let size = size.map(read_size).transpose()?.flatten();
        let checksum = checksum.map(read_checksum).transpose()?.flatten();
        Ok(Self { path, size, checksum })
    }

    fn into_owned<'b>(self) -> EventFile<'b> {
        EventFile { path: Cow::Owned(self.path.into_owned()), ..self }
    }
}

/// None for null, and for -1, which is the client's word for a size that was not recorded.
fn read_size(value: Json<'_>) -> Result<Option<u64>, Rejection> {
    match value.kind()? {
        Kind::Null | Kind::Number("-1") => Ok(None),
        Kind::Number(digits) => digits
            .parse()
            .map(Some)
            .map_err(|_| malformed(format!("file_size is {digits}, which is no number of bytes"))),
        other => Err(malformed(format!("file_size is {other}"))),
    }
}

fn read_checksum(value: Json<'_>) -> Result<Option<Checksum>, Rejection> {
    match value.kind()? {
        Kind::Null => Ok(None),
        Kind::String(digits) => Checksum::parse(&digits)
            .map(Some)
            .ok_or_else(|| malformed("checksum is not the 128 hexadecimal digits of a BLAKE2b")),
        other => Err(malformed(format!("checksum is {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Checksum, DatastoreRoot, files_of};

    fn event(datasets: &str) -> String {
        format!(r#"{{"type": "pp-output", "dimension_records": [], "datasets": [{datasets}]}}"#)
    }

    #[test]
    fn reads_what_events_say_of_their_files() {
        let digits = "0f".repeat(64);
        let event = event(&format!(
            r#"{{"path": "a/b"}}, {{"path": "c\u0020d", "file_size": 3, "checksum": "{digits}"}},
               {{"path": "e", "file_size": -1, "checksum": null}}, {{"path": "f", "file_size": null}}"#
        ));
        let files = files_of(event.as_bytes(), &DatastoreRoot::default()).unwrap();
        let said: Vec<_> = files
            .iter()
            .map(|file| (&*file.path, file.size, file.checksum.as_ref().map(Checksum::to_string)))
            .collect();
        assert_eq!(
            said,
            [
                ("a/b", None, None),
                ("c d", Some(3), Some(digits)),
                ("e", None, None),
                ("f", None, None)
            ]
        );
    }

    #[test]
    fn numbers_that_are_not_finite_are_no_matter() {
        let event = event(r#"{"path": "a", "more": NaN}, {"path": "b", "file_size": 1}"#);
        let files = files_of(event.as_bytes(), &DatastoreRoot::default()).unwrap();
        let said: Vec<_> = files.iter().map(|file| (&*file.path, file.size)).collect();
        assert_eq!(said, [("a", None), ("b", Some(1))]);
    }

    #[test]
    fn refuses_what_is_no_size_and_no_checksum() {
        for (said, reason) in [
            (r#""file_size": 1.5"#, "file_size is 1.5"),
            (r#""file_size": -2"#, "file_size is -2"),
            (r#""file_size": "3""#, "file_size is a string"),
            (r#""checksum": "00""#, "checksum is not"),
            (r#""checksum": 7"#, "checksum is a number"),
        ] {
            let event = event(&format!(r#"{{"path": "x"}}, {{"path": "a", {said}}}"#));
            let rejection = files_of(event.as_bytes(), &DatastoreRoot::default()).unwrap_err();
            let expected = format!("datasets[1]: {reason}");
            assert!(rejection.message.starts_with(&expected), "{}", rejection.message);
        }
        let digits = "0g".repeat(64);
        assert_eq!(Checksum::parse(&digits), None);
        assert_eq!(Checksum::parse(&"0".repeat(129)), None);
        assert!(
            files_of(event(r#"{"path": "../a"}"#).as_bytes(), &DatastoreRoot::default()).is_err()
        );
    }
}
