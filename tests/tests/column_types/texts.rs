//! Texts, bytes, identifiers and JSON.

use super::kind::Kind;

pub fn kinds() -> Vec<Kind> {
    let marks =
        ["", "\\N", "\\.", "a\tb\nc\rd\\e\"f'g", "é😀 ☃", "null", "\u{2028}\u{200b}\u{feff}"];
    vec![
        Kind::new("text", &marks)
            .literals(&["\0", " blanks ", "\u{1}\u{7f}\u{b}\u{8}"])
            .json(&["1.50", "1e400"])
            .refused(&["true", "[1]", "{}", r#""\ud83d""#]),
        Kind::new("varchar", &marks),
        Kind::new("varchar(5)", &["12345", "123456", "12345   ", "äöüßé", "äöüßéx", ""]),
        Kind::new("bpchar", &["ab", "ab   ", ""]),
        Kind::new("char(4)", &["ab", "ab  ", "abcd", "abcd  ", "abcde", "", "äöüß", "äöüß é"]),
        Kind::new("char", &["a", "ab", ""]),
        Kind::new("name", &["Some Name", "", "é"]).literals(&["x".repeat(63)]),
        Kind::new("\"char\"", &["a", "abc", "", "\\", " "]).json(&["7"]),
        Kind::new(
            "uuid",
            &[
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
                "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
                "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
                "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
                "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
                "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "a0eebc99-9c0b",
                "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "",
            ],
        )
        .json(&["7"]),
        Kind::new("bytea", &["\\x", "\\xDEADbeef", "\\x0", "\\x0g", "\\x00 ff", "\\x\tff\n00"]),
        Kind::new("json", &[])
            .json(&[r#"{"b": 1,  "a": [1.50, 1e400, "\u0000"], "b": null}"#, "[]", "1.10", "true"])
            .json(&[r#""a \"string\"""#, r#""\ud83d""#, r#""\t\\""#, r#"{"a":{"b":[{}]}}"#]),
        Kind::new("jsonb", &[])
            .json(&[r#"{"b": 1,  "a": [1.50, 1e100], "b": null}"#, "[[[]]]", "1.10", "false"])
            .json(&[r#""text""#, r#""\u0000""#, r#""\ud83d""#, r#""\ud83d\ude00""#, "-0.0"])
            .json(&["1e400000", "1e131071", "1e131072", "1e-16383", "1e-16384"])
            .json(&[r#"{"\u00e9": "\u00E9"}"#, r#""\t\\""#]),
    ]
}
