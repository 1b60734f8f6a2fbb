//! Addresses.

use tokio_postgres::types::Type;

use super::{encode, sqlstate};

/// The figures are PostgreSQL 15's, from `inet_send` and `cidr_send`.
#[test]
fn internet_addresses() {
    for (of, literal, expected) in [
        (Type::INET, "192.168.0.1", vec![2, 32, 0, 4, 192, 168, 0, 1]),
        (Type::INET, "192.168.0.1/24", vec![2, 24, 0, 4, 192, 168, 0, 1]),
        (Type::INET, "10.1/16", vec![2, 16, 0, 4, 10, 1, 0, 0]),
        (Type::INET, "010.1.1.1", vec![2, 32, 0, 4, 10, 1, 1, 1]),
        (Type::CIDR, "192.168.1", vec![2, 24, 1, 4, 192, 168, 1, 0]),
        (Type::CIDR, "128.1", vec![2, 16, 1, 4, 128, 1, 0, 0]),
        (Type::CIDR, "10", vec![2, 8, 1, 4, 10, 0, 0, 0]),
        (Type::CIDR, "10.1.2", vec![2, 24, 1, 4, 10, 1, 2, 0]),
        (Type::CIDR, "224", vec![2, 4, 1, 4, 224, 0, 0, 0]),
        (Type::CIDR, "0.0.0.0/0", vec![2, 0, 1, 4, 0, 0, 0, 0]),
    ] {
        let field = encode(&of, &format!("\"{literal}\"")).unwrap().unwrap();
        assert_eq!(field, expected, "{literal}");
    }
    let field = encode(&Type::INET, "\"2001:db8::1/64\"").unwrap().unwrap();
    assert_eq!(field[..8], [3, 64, 0, 16, 0x20, 0x01, 0x0d, 0xb8]);
    let field = encode(&Type::CIDR, "\"::ffff:1.2.3.0/120\"").unwrap().unwrap();
    assert_eq!((field[1], field[2], &field[16..]), (120, 1, &[1, 2, 3, 0][..]));
    for (of, literal) in [
        (Type::INET, "10.1"),
        (Type::INET, "10.1.2.3/8/9"),
        (Type::INET, "10.1.2.3/33"),
        (Type::INET, "10.1.2.3/"),
        (Type::INET, "10.1.2.256"),
        (Type::INET, "10.1.2.3.4"),
        (Type::INET, "10..2.3"),
        (Type::INET, " 10.1.2.3"),
        (Type::INET, "::1/129"),
        (Type::INET, "::1/064"),
        (Type::INET, "1::2::3"),
        (Type::INET, "10.1.2.3/8 "),
        (Type::INET, "10/16"),
        (Type::INET, ""),
        (Type::CIDR, "192.168.1.1/24"),
        (Type::CIDR, "2001:db8::1/64"),
    ] {
        assert_eq!(sqlstate(&of, &format!("\"{literal}\"")), "22P02", "{literal}");
    }
}

#[test]
fn hardware_addresses() {
    let expected = [0x08, 0x00, 0x2b, 0x01, 0x02, 0x03];
    for literal in [
        "08:00:2b:01:02:03",
        "8-0-2B-1-2-3",
        "08002b:010203",
        "08002b-010203",
        "0800.2b01.0203",
        "0800-2b01-0203",
        "08002b010203",
        " 08:00:2b:01:02:03 ",
    ] {
        let field = encode(&Type::MACADDR, &format!("\"{literal}\"")).unwrap().unwrap();
        assert_eq!(field, expected, "{literal}");
    }
    let expected = [0x08, 0x00, 0x2b, 0x01, 0x02, 0x03, 0x04, 0x05];
    for literal in [
        "08:00:2b:01:02:03:04:05",
        "08-00-2b-01-02-03-04-05",
        "08002b:0102030405",
        "08002b-0102030405",
        "0800.2b01.0203.0405",
        "08002b0102030405",
        " 08002b01:02030405",
    ] {
        let field = encode(&Type::MACADDR8, &format!("\"{literal}\"")).unwrap().unwrap();
        assert_eq!(field, expected, "{literal}");
    }
    let six = encode(&Type::MACADDR8, "\"08:00:2b:01:02:03\"").unwrap().unwrap();
    assert_eq!(six, [0x08, 0x00, 0x2b, 0xff, 0xfe, 0x01, 0x02, 0x03]);
    for literal in [
        "",
        "08:00:2b:01:02",
        "08:00:2b:01:02:03:04",
        "08:00-2b:01:02:03",
        "08.00.2b.01.02.03",
        "0800:2b01:0203",
        "g8:00:2b:01:02:03",
        "08002b01020",
    ] {
        for of in [Type::MACADDR, Type::MACADDR8] {
            if of == Type::MACADDR || literal.len() != 17 && literal != "0800:2b01:0203" {
                assert_eq!(sqlstate(&of, &format!("\"{literal}\"")), "22P02", "{literal}");
            }
        }
    }
    assert_eq!(sqlstate(&Type::MACADDR, "\"100:0:0:0:0:0\""), "22003");
}
