//! Values as a text COPY wants them.

use std::fmt::Display;
use std::io::Write as _;

/// Stands between the values of a row.
pub const SEPARATOR: u8 = b'\t';

/// Stands behind a row.
pub const END_OF_ROW: u8 = b'\n';

/// Appends a null.
pub fn put_null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\N");
}

/// Appends a number.
pub fn put_number(number: impl Display, out: &mut Vec<u8>) {
    // A vector takes all that is written to it.
    let _ = write!(out, "{number}");
}

/// Appends an array of numbers.
pub fn put_numbers(numbers: &[i16], out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put_number(number, out);
    }
    out.push(b'}');
}

/// Appends a value, with what means something to COPY escaped: so it is none of a null, the end of
/// a row or the end of the data.
pub fn put(value: &str, out: &mut Vec<u8>) {
    out.reserve(value.len());
    for byte in value.bytes() {
        let escape = match byte {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escape]);
    }
}

#[cfg(test)]
mod tests {
    use super::{put, put_null, put_numbers};

    #[test]
    fn nothing_is_taken_for_a_mark() {
        for (value, expected) in [
            ("plain é", "plain é"),
            ("", ""),
            ("\\N", "\\\\N"),
            ("\\.", "\\\\."),
            ("a\tb\nc\rd\\e", "a\\tb\\nc\\rd\\\\e"),
            ("\u{b}\u{8}\u{7f}", "\u{b}\u{8}\u{7f}"),
        ] {
            let mut out = Vec::new();
            put(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let mut out = Vec::new();
        put_null(&mut out);
        assert_eq!(out, b"\\N");
    }

    #[test]
    fn numbers_stand_in_braces() {
        for (numbers, expected) in [(&[][..], "{}"), (&[7], "{7}"), (&[1, -2, 30], "{1,-2,30}")] {
            let mut out = Vec::new();
            put_numbers(numbers, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
