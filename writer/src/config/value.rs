//! Settings of a type: each function reads one, or takes note of what is wrong with it.

use std::time::Duration;

use bytesize::ByteSize;

use super::reader::Reader;
use super::setting::{Setting, Value};

/// Reads a setting by `parse`, which says what it expected if the value is none of that.
fn read<T>(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
    expected: &str,
    parse: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let setting = reader.setting(section, key)?;
    let parsed = parse(&setting.value);
    if parsed.is_none() {
        refuse(reader, &setting, expected);
    }
    parsed
}

/// Takes note that a setting's value is not what was expected.
pub fn refuse(reader: &mut Reader<'_>, setting: &Setting, expected: &str) {
    let given = match &setting.value {
        Value::Text(text) | Value::Variable(text) => format!("\"{text}\""),
        Value::Bare(text) => text.clone(),
        Value::List(_) => "a list".to_owned(),
    };
    reader.problem(
        setting.place.clone(),
        format!("{} is {given}", setting.name),
        format!("give {expected}"),
    );
}

/// A string that is not empty.
pub fn text(reader: &mut Reader<'_>, section: &'static str, key: &'static str) -> Option<String> {
    read(reader, section, key, "a string that is not empty", |value| {
        value.text().filter(|text| !text.trim().is_empty()).map(str::to_owned)
    })
}

/// A list of strings that is not empty.
pub fn list(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
) -> Option<Vec<String>> {
    read(reader, section, key, "a list of strings, such as [\"a\", \"b\"]", |value| {
        value.list().filter(|items| items.iter().all(|item| !item.trim().is_empty()))
    })
}

/// A whole number from `least` to `most`.
pub fn count(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
    default: u64,
    (least, most): (u64, u64),
) -> u64 {
    read(reader, section, key, &format!("a whole number from {least} to {most}"), |value| {
        value.number()?.parse().ok().filter(|number| (least..=most).contains(number))
    })
    .unwrap_or(default)
}

/// A share: more than 0, and no more than 1.
pub fn share(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
    default: f64,
) -> f64 {
    read(reader, section, key, "a number above 0 and up to 1, such as 0.5", |value| {
        value.number()?.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0)
    })
    .unwrap_or(default)
}

/// A size with its unit, from `least` on.
pub fn size(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
    default: ByteSize,
    (least, most): (ByteSize, ByteSize),
) -> ByteSize {
    let expected = format!("a size with its unit from {least} to {most}, such as \"16 MiB\"");
    read(reader, section, key, &expected, |value| {
        let text = value.text().filter(|text| text.ends_with(|end: char| end.is_alphabetic()))?;
        text.parse().ok().filter(|size| (least..=most).contains(size))
    })
    .unwrap_or(default)
}

/// A time span with its unit, up to a day and never zero.
pub fn duration(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
    default: Duration,
) -> Duration {
    const LONGEST: Duration = Duration::from_secs(86_400);
    const SHORTEST: Duration = Duration::from_millis(1);
    read(reader, section, key, "a time span with its unit up to a day, such as \"10s\"", |value| {
        humantime::parse_duration(value.text()?)
            .ok()
            .filter(|span| (SHORTEST..=LONGEST).contains(span))
    })
    .unwrap_or(default)
}

/// A long time span with its unit, from a second to a thousand years, if it is given.
pub fn long_duration(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86_400);
    const SHORTEST: Duration = Duration::from_secs(1);
    read(reader, section, key, "a time span with its unit, such as \"90 days\"", |value| {
        humantime::parse_duration(value.text()?)
            .ok()
            .filter(|span| (SHORTEST..=LONGEST).contains(span))
    })
}

/// One of a few words, in any case; the first is the default.
pub fn choice<T: Copy>(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
    choices: &[(&str, T)],
    default: T,
) -> T {
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    read(reader, section, key, &format!("one of {}", words.join(", ")), |value| {
        let text = value.text()?;
        choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, choice)| *choice)
    })
    .unwrap_or(default)
}
