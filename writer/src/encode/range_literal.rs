//! Literals of ranges: `[1,5)`, `(,"2024-01-01 00:00"]`, `empty`.

use std::borrow::Cow;

/// A range as its literal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeLiteral<'a> {
    /// Holds nothing.
    Empty,
    /// Has two bounds, which may be infinite.
    Bounds {
        /// The literal of the lower bound; none is −∞.
        lower: Option<Cow<'a, str>>,
        /// The literal of the upper bound; none is ∞.
        upper: Option<Cow<'a, str>>,
        /// Whether the lower bound is in the range.
        lower_inclusive: bool,
        /// Whether the upper bound is in the range.
        upper_inclusive: bool,
    },
}

impl<'a> RangeLiteral<'a> {
    /// Takes the range with which the text begins, blanks before it left out. Gives the rest too.
    pub fn take(text: &'a str) -> Option<(Self, &'a str)> {
        const EMPTY: &str = "empty";
        let text = text.trim_ascii_start();
        if let Some((word, rest)) = text.split_at_checked(EMPTY.len())
            && word.eq_ignore_ascii_case(EMPTY)
        {
            return Some((Self::Empty, rest));
        }
        let (lower_inclusive, rest) = match text.split_at_checked(1)? {
            ("[", rest) => (true, rest),
            ("(", rest) => (false, rest),
            _ => return None,
        };
        let (lower, rest) = take_bound(rest)?;
        let (upper, rest) = take_bound(rest.strip_prefix(',')?)?;
        let (upper_inclusive, rest) = match rest.split_at_checked(1)? {
            ("]", rest) => (true, rest),
            (")", rest) => (false, rest),
            _ => return None,
        };
        Some((Self::Bounds { lower, upper, lower_inclusive, upper_inclusive }, rest))
    }
}

/// A bound with its quotes and backslashes resolved, and what begins with the mark that ends it.
fn take_bound(text: &str) -> Option<(Option<Cow<'_, str>>, &str)> {
    let is_end = |character: char| matches!(character, ',' | ')' | ']');
    let plain = text.find(|character| is_end(character) || matches!(character, '"' | '\\'))?;
    if text[plain..].starts_with(is_end) {
        let (bound, rest) = text.split_at(plain);
        return Some(((!bound.is_empty()).then_some(Cow::Borrowed(bound)), rest));
    }
    let mut bound = String::new();
    let mut is_quoted = false;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => bound.push(characters.next()?.1),
            '"' if is_quoted && text[at + 1..].starts_with('"') => {
                characters.next();
                bound.push('"');
            }
            '"' => is_quoted = !is_quoted,
            _ if !is_quoted && is_end(character) => {
                return Some((Some(Cow::Owned(bound)), &text[at..]));
            }
            _ => bound.push(character),
        }
    }
    None
}
