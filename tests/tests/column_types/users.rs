//! Types of users and of extensions: staged as their literals, which the merge reads.

use super::kind::Kind;

pub const SCHEMA: &str = r#"
    create extension citext;
    create extension hstore;
    create extension ltree;
    create schema "Odd Schema";
    create type mood as enum ('sad', 'so so', 'happy,er', '"quoted"');
    create type "Odd Schema"."Pair" as (a int4, "B" mood, c text[]);
    create domain positive as int4 check (value > 0);
    create domain small_positive as positive check (value < 100);
    create domain short as varchar(3);
    create domain flag as boolean;
    create domain document as jsonb check (value ? 'id');
    create domain numbers as int4[] check (array_length(value, 1) < 4);
    create type span as range (subtype = float8);
"#;

pub fn kinds() -> Vec<Kind> {
    vec![
        Kind::new("mood", &["sad", "so so", "happy,er", "\"quoted\"", "angry", "Sad", "", " sad"])
            .json(&["1"])
            .refused(&["true", "[\"sad\"]", "{}"]),
        Kind::new(
            "mood[]",
            &[
                "{sad,NULL,\"so so\"}",
                r#"{"\"quoted\"","happy,er"}"#,
                "{angry}",
                "{}",
                "{{sad},{sad}}",
            ],
        )
        .pairs(&[
            (r#"["sad", null, "happy,er", "\"quoted\""]"#, r#"{sad,NULL,"happy,er","\"quoted\""}"#),
            (r#"[["sad"], ["so so"]]"#, r#"{{sad},{"so so"}}"#),
            ("[]", "{}"),
            (r#"["angry"]"#, "{angry}"),
        ])
        .refused(&["1", "{}"]),
        Kind::new(
            "\"Odd Schema\".\"Pair\"",
            &[
                "(1,sad,{a})",
                "(,,)",
                r#"(7,"so so","{a,""b c""}")"#,
                "(x,sad,)",
                "(1,sad)",
                "()",
                "x",
            ],
        )
        .refused(&[r#"{"a": 1}"#, "true"]),
        Kind::new("\"Odd Schema\".\"Pair\"[]", &[r#"{"(1,sad,)",NULL}"#])
            .pairs(&[(r#"["(1,\"so so\",{a})", null]"#, r#"{"(1,\"so so\",{a})",NULL}"#)]),
        Kind::new("positive", &["7", " 8 ", "0", "-1", "2147483648", "x", ""]).json(&["9", "1.5"]),
        Kind::new("small_positive", &["7", "100", "-1"]).json(&["9"]),
        Kind::new("positive[]", &["{1,NULL}", "{0}"])
            .pairs(&[("[1, 2]", "{1,2}"), ("[-1]", "{-1}")]),
        Kind::new("short", &["abc", "abcd", "abc  "]).json(&["123"]),
        Kind::new("flag", &["t", "maybe"]).json(&["true", "false"]),
        Kind::new("document", &[]).json(&[
            r#"{"id": 1}"#,
            r#"{"no": 1}"#,
            "1",
            "[1]",
            r#""\u0000""#,
        ]),
        Kind::new("numbers", &["{1,2}", "{1,2,3,4}"]).pairs(&[
            ("[1, 2]", "{1,2}"),
            ("[1,2,3,4]", "{1,2,3,4}"),
            ("[\"x\"]", "{x}"),
        ]),
        Kind::new("span", &["[1.5,2]", "[2,1]", "empty"]),
        Kind::new("citext", &["Case", "case"]),
        Kind::new("citext[]", &["{A,b}"]).pairs(&[(r#"["A", "b c"]"#, r#"{A,"b c"}"#)]),
        Kind::new("hstore", &["a=>1, \"b c\"=>NULL", ""]),
        Kind::new("ltree", &["a.b.c"]),
    ]
}
