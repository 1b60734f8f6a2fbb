//! Literals of arrays: `{1,NULL,"a \"b\""}`, `{{1,2},{3,4}}`, `[0:1]={1,2}`.

use std::borrow::Cow;

use super::array_shape::MOST_DIMENSIONS;
use super::invalid;
use crate::rejection::Rejection;

/// A piece of a literal.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// The literal of an element; none is null.
    Element(Option<Cow<'a, str>>),
}

/// First and last indexes by dimension if there are any, and the braces.
pub fn split_bounds(literal: &str) -> Option<(Vec<(i32, i32)>, &str)> {
    let mut rest = literal.trim_ascii();
    let mut bounds = Vec::new();
    while let Some(inside) = rest.strip_prefix('[') {
        let (pair, after) = inside.split_once(']')?;
        let (first, last) = pair.split_once(':').unwrap_or(("1", pair));
        bounds.push((first.parse().ok()?, last.parse().ok()?));
        if bounds.len() > MOST_DIMENSIONS {
            return None;
        }
        rest = after.trim_ascii_start();
    }
    if !bounds.is_empty() {
        rest = rest.strip_prefix('=')?.trim_ascii_start();
    }
    Some((bounds, rest))
}

/// Calls `visit` for every part, in order, the first refusal ending it. Braces are balanced; that
/// rows are equal is not looked at.
pub fn visit<'a>(
    literal: &'a str,
    mut visit: impl FnMut(Part<'a>) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let refuse = || invalid("array", literal);
    let mut rest = literal.trim_ascii_start();
    let mut depth = 0usize;
    // Whether a value may stand here, and whether it must.
    let (mut takes_value, mut needs_value) = (true, true);
    loop {
        let next = rest.bytes().next().ok_or_else(refuse)?;
        match next {
            b'{' if takes_value => {
                visit(Part::Open)?;
                depth += 1;
                (takes_value, needs_value) = (true, false);
                rest = &rest[1..];
            }
            b'}' if !needs_value => {
                visit(Part::Close)?;
                depth -= 1;
                takes_value = false;
                rest = &rest[1..];
                if depth == 0 {
                    break;
                }
            }
            b',' if !takes_value => {
                (takes_value, needs_value) = (true, true);
                rest = &rest[1..];
            }
            _ if takes_value && depth > 0 => {
                let (element, after) = take_element(rest).ok_or_else(refuse)?;
                visit(Part::Element(element))?;
                (takes_value, needs_value) = (false, false);
                rest = after;
            }
            _ => return Err(refuse()),
        }
        rest = rest.trim_ascii_start();
    }
    if rest.trim_ascii().is_empty() { Ok(()) } else { Err(refuse()) }
}

/// An element's literal, and what stands behind it.
fn take_element(text: &str) -> Option<(Option<Cow<'_, str>>, &str)> {
    if let Some(inside) = text.strip_prefix('"') {
        let (element, _, rest) = take_until(inside, |mark| mark == '"', |_| false)?;
        return Some((Some(element), &rest[1..]));
    }
    let is_end = |mark: char| matches!(mark, ',' | '}');
    let (element, kept, rest) = take_until(text, is_end, |mark| matches!(mark, '{' | '"'))?;
    let element = match element {
        Cow::Borrowed(element) if element[..kept].eq_ignore_ascii_case("null") => None,
        Cow::Borrowed(element) => Some(Cow::Borrowed(&element[..kept])),
        Cow::Owned(mut element) => {
            element.truncate(kept);
            Some(Cow::Owned(element))
        }
    };
    (kept > 0).then_some((element, rest))
}

/// The text up to the mark that ends it, backslashes resolved; its length without the blanks at its
/// end; and the rest, from the mark on.
fn take_until(
    text: &str,
    is_end: impl Fn(char) -> bool,
    is_bad: impl Fn(char) -> bool,
) -> Option<(Cow<'_, str>, usize, &str)> {
    let plain = text.find(|mark| is_end(mark) || is_bad(mark) || mark == '\\')?;
    let (before, after) = text.split_at(plain);
    if after.starts_with(&is_end) {
        return Some((Cow::Borrowed(before), before.trim_ascii_end().len(), after));
    }
    let mut element = String::from(before);
    let mut kept = 0;
    let mut characters = after.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            element.push(characters.next()?.1);
            kept = element.len();
        } else if is_end(character) {
            return Some((Cow::Owned(element), kept, &after[at..]));
        } else if is_bad(character) {
            return None;
        } else {
            element.push(character);
            if !character.is_ascii_whitespace() {
                kept = element.len();
            }
        }
    }
    None
}
