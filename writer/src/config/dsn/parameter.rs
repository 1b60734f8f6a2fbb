//! Parameters of a connection string that the client library has no word for.

use std::ops::Range;

use percent_encoding::percent_decode_str;

/// A parameter, and where it stands.
struct Parameter {
    name: String,
    value: String,
    place: Range<usize>,
}

/// Takes the parameters with these names out of a connection string: gives what is left of it,
/// and their names and values in the order of the string. A string that can't be read is left as
/// it is, for the client library to complain of.
pub fn take(text: &str, names: &[&str]) -> (String, Vec<(String, String)>) {
    let parameters = if ["postgres://", "postgresql://"].iter().any(|url| text.starts_with(url)) {
        of_url(text)
    } else {
        of_pairs(text)
    };
    let mut rest = text.to_owned();
    let mut taken = Vec::new();
    for parameter in parameters.unwrap_or_default().into_iter().rev() {
        if names.contains(&parameter.name.as_str()) {
            rest.replace_range(parameter.place, "");
            taken.push((parameter.name, parameter.value));
        }
    }
    taken.reverse();
    (rest, taken)
}

/// `?name=value&…`, percent-encoded.
fn of_url(text: &str) -> Option<Vec<Parameter>> {
    // A password may hold a question mark; what is before the @ is not looked at.
    let host = text.find('@').map_or(0, |at| at + 1);
    let Some(mark) = text[host..].find('?') else { return Some(Vec::new()) };
    let mut start = host + mark + 1;
    let mut parameters = Vec::new();
    for piece in text[start..].split('&') {
        let end = (start + piece.len() + 1).min(text.len());
        let (name, value) = piece.split_once('=')?;
        let decode = |text| percent_decode_str(text).decode_utf8().ok().map(String::from);
        parameters.push(Parameter {
            name: decode(name)?,
            value: decode(value)?,
            place: start..end,
        });
        start = end;
    }
    Some(parameters)
}

/// `name = value …`; a value with spaces stands in single quotes, and a backslash takes any
/// character as it is.
fn of_pairs(text: &str) -> Option<Vec<Parameter>> {
    let mut parameters = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let start = text.len() - rest.len();
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        let place = start..text.len() - after.len();
        parameters.push(Parameter { name: name.trim_end().to_owned(), value, place });
        rest = after.trim_start();
    }
    Some(parameters)
}

/// The value that a text begins with, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let (quoted, text) = text.strip_prefix('\'').map_or((false, text), |text| (true, text));
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\'' if quoted => return Some((value, &text[index + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ if character.is_whitespace() && !quoted => return Some((value, &text[index..])),
            _ => value.push(character),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::take;

    fn taken(text: &str) -> (String, Vec<(String, String)>) {
        take(text, &["sslmode", "sslrootcert"])
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn takes_pairs() {
        let (rest, found) =
            taken("host=a sslmode = verify-full password='x sslmode=y' sslrootcert='/a b\\'c'");
        assert_eq!(rest.split_whitespace().collect::<Vec<_>>().join(" "), {
            "host=a password='x sslmode=y'"
        });
        assert_eq!(found, pairs(&[("sslmode", "verify-full"), ("sslrootcert", "/a b'c")]));
    }

    #[test]
    fn takes_pieces_of_an_url() {
        let url = "postgresql://u:p?sslmode=x@h:1,i:2/d?sslmode=require&options=-c%20a&\
                   sslrootcert=%2Fa%20b";
        let (rest, found) = taken(url);
        assert_eq!(rest, "postgresql://u:p?sslmode=x@h:1,i:2/d?options=-c%20a&");
        assert_eq!(found, pairs(&[("sslmode", "require"), ("sslrootcert", "/a b")]));
        let (rest, found) = taken("postgres://h/d?sslmode=disable");
        assert_eq!((rest.as_str(), found.len()), ("postgres://h/d?", 1));
    }

    #[test]
    fn leaves_what_it_cannot_read() {
        for text in ["host", "host=a sslmode='x", "postgres://h?sslmode", ""] {
            assert_eq!(taken(text), (text.to_owned(), Vec::new()), "{text}");
        }
    }
}
