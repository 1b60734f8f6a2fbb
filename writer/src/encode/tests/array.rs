//! Arrays, as JSON and as literals.

use proptest::prelude::*;
use tokio_postgres::types::Type;

use super::{encode, read, sqlstate};
use crate::encode::Shape;
use crate::json::visit_array;

/// The elements' fields, in their order.
type Elements = Vec<Option<Vec<u8>>>;

/// Lengths and first indexes of the dimensions, whether there are nulls, and the elements.
fn array(of: &Type, json: &str) -> (Vec<(u32, i32)>, bool, Elements) {
    let field = encode(of, json).unwrap_or_else(|error| panic!("{json}: {error}")).unwrap();
    let mut words = field.chunks(4).map(|word| i32::from_be_bytes(word.try_into().unwrap()));
    let mut word = || words.next().unwrap();
    let (dimensions, nulls, oid) = (word(), word(), word());
    let tokio_postgres::types::Kind::Array(element) = of.kind() else { panic!("no array") };
    assert_eq!(oid.cast_unsigned(), element.oid());
    let dimensions: Vec<_> = (0..dimensions).map(|_| (word().cast_unsigned(), word())).collect();
    let mut rest = &field[12 + 8 * dimensions.len()..];
    let mut elements = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let (element, after) = after.split_at(length.max(0).cast_unsigned() as usize);
        elements.push((length >= 0).then(|| element.to_vec()));
        rest = after;
    }
    (dimensions, nulls == 1, elements)
}

#[test]
fn json_and_literals_mean_the_same() {
    for (of, json, literal) in [
        (Type::INT4_ARRAY, "[]", "{}"),
        (Type::INT4_ARRAY, "[1, null, \"3\"]", " { 1 , NULL,\"3\" } "),
        (Type::INT4_ARRAY, "[[1,2],[3,4],[5,null]]", "{{1,2},{3,4},{5,null}}"),
        (Type::INT4_ARRAY, "[[[[[[1]]]]]]", "{{{{{{1}}}}}}"),
        (
            Type::TEXT_ARRAY,
            r#"["NULL", "", " a ", "a b", "é\"\\", "{,}"]"#,
            r#"{"NULL","", \ a\ ,a b ,é\"\\,"{,}"}"#,
        ),
        (Type::BOOL_ARRAY, "[true, \"f\", null]", "{t,false,null}"),
        (Type::JSONB_ARRAY, r#"[{"a": [1]}, [], null]"#, r#"{"{\"a\": [1]}","[]",NULL}"#),
        (Type::INT4_RANGE_ARRAY, r#"["[1,2)", "empty"]"#, r#"{"[1,2)",empty}"#),
        (Type::NUMERIC_ARRAY, "[1.50, \"NaN\"]", "{1.50,nan}"),
    ] {
        let as_literal = serde_json::to_string(literal).unwrap();
        assert_eq!(array(&of, json), array(&of, &as_literal), "{literal}");
    }
    assert_eq!(array(&Type::INT4_ARRAY, "[]"), (vec![], false, vec![]));
    let (dimensions, has_null, elements) = array(&Type::INT4_ARRAY, "[[1,2],[3,null]]");
    assert_eq!((dimensions, has_null), (vec![(2, 1), (2, 1)], true));
    assert_eq!(elements[2..], [Some(vec![0, 0, 0, 3]), None]);
    let (dimensions, ..) = array(&Type::INT4_ARRAY, "\"[-1:0][5]={{1,2,3,4,5},{1,2,3,4,5}}\"");
    assert_eq!(dimensions, [(2, -1), (5, 1)]);
    let texts: Vec<Option<String>> = read(&Type::TEXT_ARRAY, r#"["a", null, "1"]"#);
    assert_eq!(texts, [Some("a".into()), None, Some("1".into())]);
}

#[test]
fn what_is_no_array() {
    for literal in [
        "",
        "{",
        "}",
        "1",
        "{1",
        "{1,}",
        "{,1}",
        "{1,,2}",
        "{{1},2}",
        "{1,{2}}",
        "{{1,2},{3}}",
        "{{1,2},NULL}",
        "{{}}",
        "{{},{}}",
        "{1}x",
        "{1}{2}",
        "[1:2]={1}",
        "[1:2]{1,2}",
        "[a:b]={1}",
        "[1:1][1:1]={1}",
        "{\"1\"2}",
        "{1\"2\"}",
        "{a{b}",
        "{\"1}",
        "{1\\",
    ] {
        let json = serde_json::to_string(literal).unwrap();
        assert_eq!(sqlstate(&Type::INT4_ARRAY, &json), "22P02", "{literal}");
    }
    for json in [
        "[[1,2],[3]]",
        "[1,[2]]",
        "[[1],2]",
        "[[1],null]",
        "[[]]",
        "[[],[]]",
        "[{}]",
        "{}",
        "1",
        "true",
        "[true]",
        "[\"x\"]",
    ] {
        assert_eq!(sqlstate(&Type::INT4_ARRAY, json), "22P02", "{json}");
    }
    assert_eq!(sqlstate(&Type::INT4_ARRAY, "[2147483648]"), "22003");
    assert_eq!(sqlstate(&Type::TEXT_ARRAY, r#"["a\u0000"]"#), "22021");
    let deep = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(sqlstate(&Type::INT4_ARRAY, &deep(6)), "accepted");
    assert_eq!(sqlstate(&Type::INT4_ARRAY, &deep(7)), "54000");
    assert_eq!(sqlstate(&Type::INT4_ARRAY, &deep(1_000_000)), "54000");
    // These are arrays to the client library, and not on the wire.
    assert!(crate::encode::Encoder::for_type(Type::INT2_VECTOR.oid()).is_none());
}

/// The literal of a value of a type that the database is to parse.
fn literal(of: &Type, json: &str) -> Result<String, &'static str> {
    let list = format!("[{json}]");
    let mut found = Ok(String::new());
    visit_array(&list, |_, value| {
        found = Shape::of_type(of.oid())
            .literal(value)
            .map(std::borrow::Cow::into_owned)
            .map_err(|rejection| rejection.sqlstate.as_str());
        Ok(())
    })
    .unwrap();
    found
}

#[test]
fn json_becomes_literals() {
    for (of, json, expected) in [
        (Type::POINT, "\"(1,2)\"", Ok("(1,2)")),
        (Type::MONEY, "1.50", Ok("1.50")),
        (Type::POINT, "[1,2]", Err("22P02")),
        (Type::POINT, "true", Err("22P02")),
        (Type::BOOL, "true", Ok("t")),
        (Type::JSON, "[1, 2]", Ok("[1, 2]")),
        (Type::POINT_ARRAY, "[\"(1,2)\", null]", Ok(r#"{"(1,2)",NULL}"#)),
        (Type::POINT_ARRAY, "\"{}\"", Ok("{}")),
        (Type::POINT_ARRAY, "[]", Ok("{}")),
        (Type::POINT_ARRAY, "{}", Err("22P02")),
        (Type::BOOL_ARRAY, "[[true],[false]]", Ok(r#"{{"t"},{"f"}}"#)),
        (Type::TEXT_ARRAY, r#"["a\"\\{,}"]"#, Ok(r#"{"a\"\\{,}"}"#)),
        (Type::JSONB_ARRAY, r#"[[1], {"a": 2}]"#, Ok(r#"{"[1]","{\"a\": 2}"}"#)),
    ] {
        assert_eq!(literal(&of, json), expected.map(str::to_owned), "{json}");
    }
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(literal(&Type::POINT_ARRAY, &deep(1_000_000)), Err("54000"));
}

proptest! {
    #[test]
    fn every_array_of_texts_comes_back(texts in prop::collection::vec(prop::option::of("[^\0]{0,8}"), 0..6)) {
        let json = serde_json::to_string(&texts).unwrap();
        prop_assert_eq!(&read::<Vec<Option<String>>>(&Type::TEXT_ARRAY, &json), &texts);
        let as_literal = serde_json::to_string(&literal(&Type::TEXT_ARRAY, &json).unwrap()).unwrap();
        prop_assert_eq!(&read::<Vec<Option<String>>>(&Type::TEXT_ARRAY, &as_literal), &texts);
    }
}
