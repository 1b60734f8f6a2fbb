//! Numbers that are not finite. The official client reads the tokens that Python writes for them, as
//! Python does, though they are not JSON; its own serialiser never writes them.
//!
//! An event that is no JSON is read once more with each token replaced by a number of a spelling that
//! nobody uses. So other events cost nothing.

use crate::rejection::Rejection;

/// The tokens, what they are replaced by, and what they mean. The numbers have fractions, so that
/// nobody takes them for integers.
const TOKENS: [(&str, &str, f64); 3] = [
    ("NaN", "0.5e+0000000000000000", f64::NAN),
    ("Infinity", "1.5e+0000000000000000", f64::INFINITY),
    ("-Infinity", "-1.5e+0000000000000000", f64::NEG_INFINITY),
];

/// The text with its tokens replaced; none if it has no tokens.
pub(super) fn replaced(text: &str) -> Option<String> {
    let mut replaced = String::new();
    let mut copied = 0;
    let mut place = 0;
    while let Some(byte) = text.as_bytes().get(place) {
        let token = TOKENS.iter().find(|(token, ..)| is_at(text, place, token));
        place += match (byte, token) {
            (b'"', _) => string_length(&text.as_bytes()[place..]),
            (_, Some((token, number, _))) => {
                replaced.push_str(&text[copied..place]);
                replaced.push_str(number);
                copied = place + token.len();
                token.len()
            }
            _ => 1,
        };
    }
    (copied > 0).then(|| replaced + &text[copied..])
}

/// What a number in the place of a token means.
pub(super) fn meaning(number: &str) -> Option<f64> {
    TOKENS.iter().find(|(_, replacement, _)| *replacement == number).map(|(.., meaning)| *meaning)
}

/// A refusal with the tokens that the event has.
pub(super) fn restored(mut rejection: Rejection) -> Rejection {
    for (token, number, _) in TOKENS.iter().rev() {
        rejection.message = rejection.message.replace(number, token);
    }
    rejection
}

/// Whether this is a value there, and not a part of one.
fn is_at(text: &str, place: usize, token: &str) -> bool {
    let (before, from) = text.as_bytes().split_at(place);
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let begins = |byte: &u8| is_blank(byte) || matches!(byte, b':' | b',' | b'[');
    let ends = |byte: &u8| is_blank(byte) || matches!(byte, b',' | b']' | b'}');
    let Some(rest) = from.strip_prefix(token.as_bytes()) else { return false };
    before.last().is_none_or(begins) && rest.first().is_none_or(ends)
}

/// The length of the string that the bytes begin with, its quotes included; of all, if it has no end.
fn string_length(bytes: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = bytes.iter().skip(1).position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(bytes.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::{meaning, replaced, restored};
    use crate::json::{malformed, visit_array};

    fn meanings(text: &str) -> Vec<Option<f64>> {
        let mut found = Vec::new();
        visit_array(text, |_, value| {
            found.push(meaning(value.text()));
            Ok(())
        })
        .unwrap();
        found
    }

    #[test]
    fn tokens_are_values() {
        let text = replaced(r#"[NaN, Infinity ,-Infinity,1.5,"NaN","\"",[NaN],0.5]"#).unwrap();
        let [nan, infinite, negative, rest @ ..] = &*meanings(&text) else { panic!("{text}") };
        assert!(nan.is_some_and(f64::is_nan));
        assert_eq!((*infinite, *negative), (Some(f64::INFINITY), Some(f64::NEG_INFINITY)));
        assert_eq!(rest, [None; 5]);
        assert!(text.contains(r#","NaN","\"",["#), "{text}");
    }

    #[test]
    fn nothing_else_becomes_one() {
        for text in [
            "",
            "[]",
            r#"["NaN"]"#,
            r#"["\\\"NaN,NaN"]"#,
            "[nan]",
            "[NaN5]",
            "[-NaN]",
            "[1NaN]",
            "[+Infinity]",
            "[--Infinity]",
            "[Infinityy]",
            "\"NaN",
            "{NaN:1}",
        ] {
            assert_eq!(replaced(text), None, "{text}");
        }
    }

    #[test]
    fn refusals_have_the_tokens() {
        let text = replaced("[-Infinity,NaN]").unwrap();
        assert_eq!(restored(malformed(text)).message, "[-Infinity,NaN]");
    }
}
