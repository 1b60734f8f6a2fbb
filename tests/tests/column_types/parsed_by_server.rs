//! Types without an encoder: the server parses their literals, in a text COPY.

use super::kind::Kind;

pub fn kinds() -> Vec<Kind> {
    vec![
        Kind::new(
            "interval",
            &[
                "1 day 02:03:04",
                "-1 day +02:03:04.5",
                "1 year 2 mons",
                "P1Y2M3DT4H5M6.7S",
                "PT36H",
                "P0001-02-03T04:05:06",
                "3 days ago",
                "1-2",
                "1.5 months",
                "178000000 years",
                "x",
                "",
                "99999999999 years",
            ],
        )
        .json(&["5"]),
        Kind::new("interval(0)", &["00:00:01.5", "00:00:02.5"]),
        Kind::new("interval year to month", &["1 year 2 mons 3 days"]),
        Kind::new("money", &["$1,234.56", "-1.005", "(5)", "x", "99999999999999999999"])
            .json(&["1.5"]),
        Kind::new(
            "point",
            &["(1,2)", " ( 1e300 , -0.5 ) ", "1,2", "(1,2", "(NaN,inf)", "x", "(1e400,1)"],
        )
        .refused(&["[1,2]", "true"]),
        Kind::new("line", &["{1,2,3}", "{0,0,1}"]),
        Kind::new("lseg", &["[(1,2),(3,4)]", "x"]),
        Kind::new("box", &["(3,4),(1,2)", "x"]),
        Kind::new("path", &["[(1,2),(3,4)]", "((1,2),(3,4))", "x"]),
        Kind::new("polygon", &["((1,2),(3,4),(5,6))", "x"]),
        Kind::new("circle", &["<(1,2),3>", "<(1,2),-3>"]),
        Kind::new("xml", &["<a>é &amp; b</a>", "text", "<a>", "<a/><b/>", ""]),
        Kind::new("tsvector", &["'a':1A,2 b c", "'it''s\\\\'", "'", ""]),
        Kind::new("tsquery", &["a & !(b | c:*A)", "a &", ""]),
        Kind::new("jsonpath", &["$.a[*] ? (@ > 1)", "$.", ""]),
        Kind::new("regclass", &["pg_class", "no_such_table", "no_such_schema.t", "1"]),
        Kind::new("regtype", &["int4", "no_such_type"]),
        Kind::new("regproc", &["array_in", "no_such_function", "abs"]),
        Kind::new("regnamespace", &["public", "no_such_schema"]),
        Kind::new("pg_lsn", &["16/B374D848", "x"]),
        Kind::new("xid", &["7"]),
        Kind::new("xid8", &["7"]),
        Kind::new("tid", &["(0,1)", "x"]),
        Kind::new("pg_snapshot", &["10:20:10,14,15", "x"]),
        Kind::new("int2vector", &["1 2 3", ""]),
        Kind::new("oidvector", &["1 2 3"]),
        Kind::new("point[]", &["{\"(1,2)\",NULL}", "{\"(1,2\"}", "{}"]).pairs(&[
            (r#"["(1,2)", null]"#, "{\"(1,2)\",NULL}"),
            (r#"[["(1,2)"], ["(3,4)"]]"#, "{{\"(1,2)\"},{\"(3,4)\"}}"),
            (r#"[["(1,2)"], []]"#, "{{\"(1,2)\"},{}}"),
            ("[]", "{}"),
            ("[[[[[[[1]]]]]]]", "{{{{{{{1}}}}}}}"),
        ]),
        Kind::new("box[]", &["{(3,4),(1,2);(1,1),(0,0)}"])
            .pairs(&[(r#"["(3,4),(1,2)", "(1,1),(0,0)"]"#, "{(3,4),(1,2);(1,1),(0,0)}")]),
        Kind::new("interval[]", &["{1 day,\"02:03:04\"}", "{x}"])
            .pairs(&[(r#"["1 day", null]"#, "{1 day,NULL}")]),
        Kind::new("tsvector[]", &[r#"{"'a b':1","'\"'"}"#])
            .pairs(&[(r#"["'a b':1", "'\"\\\\'"]"#, r#"{"'a b':1","'\"\\\\'"}"#)]),
    ]
}
