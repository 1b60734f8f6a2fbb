//! Messages that are none.

use anyhow::Result;
use forebay_tests::Message;
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

/// A bad message.
pub struct Junk {
    name: String,
    message: Message<'static>,
    may_be_good: bool,
}

impl Junk {
    fn new(name: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), message: of(payload), may_be_good: false }
    }

    /// What is wrong with it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The message.
    pub fn message(&self) -> &Message<'static> {
        &self.message
    }

    /// Whether it may be good after all.
    pub fn may_be_good(&self) -> bool {
        self.may_be_good
    }
}

/// The seed of a run: a new one, or the one to be repeated.
pub fn seed() -> Result<u64> {
    let seed = std::env::var("FOREBAY_TEST_SEED").ok().map(|seed| seed.parse()).transpose()?;
    Ok(seed.unwrap_or_else(|| rand::rng().random()))
}

/// Junk of all kinds, made of a good message where that helps.
pub fn all(good: &[u8], seed: u64) -> Vec<Junk> {
    let random = &mut StdRng::seed_from_u64(seed);
    let mut junk = fixed();
    junk.extend(cut_everywhere(good));
    for number in 0..200 {
        let mut changed = good.to_vec();
        for _ in 0..random.random_range(1..=3) {
            let place = random.random_range(0..changed.len());
            changed[place] ^= 1 << random.random_range(0..8);
        }
        let message = of(changed);
        junk.push(Junk { name: format!("flip {number}"), message, may_be_good: true });
    }
    for number in 0..20 {
        let mut bytes = vec![0; random.random_range(1..2000)];
        random.fill_bytes(&mut bytes);
        // No JSON begins so.
        bytes[0] |= 0x80;
        junk.push(Junk::new(format!("binary {number}"), bytes));
    }
    junk
}

/// Copies of a good message that end too soon, or hold what is no text.
pub fn cut(good: &[u8], seed: u64, count: usize) -> Vec<Junk> {
    let random = &mut StdRng::seed_from_u64(seed);
    (0..count)
        .map(|number| {
            let place = random.random_range(1..good.len());
            let mut changed = good.to_vec();
            if number % 2 == 0 {
                changed.truncate(place);
            } else {
                changed[place] = 0xff;
            }
            Junk::new(format!("cut {number}"), changed)
        })
        .collect()
}

fn cut_everywhere(good: &[u8]) -> impl Iterator<Item = Junk> {
    (0..good.len()).map(|length| Junk::new(format!("first {length} bytes"), &good[..length]))
}

fn fixed() -> Vec<Junk> {
    let object = |inner: &str| format!(r#"{{"id": 1000000, {inner}}}"#);
    let deep = |open: &str, close: &str| [open.repeat(200_000), close.repeat(200_000)].concat();
    let texts = [
        ("blank", " \t\r\n".to_owned()),
        ("null", "null".to_owned()),
        ("number", "1".to_owned()),
        ("string", r#""{\"id\": 1000000}""#.to_owned()),
        ("array", "[]".to_owned()),
        ("empty object", "{}".to_owned()),
        ("two objects", r#"{"id": 1000000}{"id": 1000000}"#.to_owned()),
        ("trailing comma", r#"{"id": 1000000,}"#.to_owned()),
        ("comment", r#"{"id": 1000000} // one"#.to_owned()),
        ("single quotes", "{'id': 1000000}".to_owned()),
        ("byte order mark", format!("\u{feff}{}", object(r#""note": "n""#))),
        ("NaN", object(r#""j": NaN"#)),
        ("control character", object("\"note\": \"a\u{1}b\"")),
        ("bare NUL", object("\"note\": \"a\0b\"")),
        ("escaped NUL", object(r#""note": "a\u0000b""#)),
        ("NUL in jsonb", object(r#""j": {"a": "\u0000"}"#)),
        ("NUL in a key", r#"{"i\u0000d": 1000000}"#.to_owned()),
        ("high surrogate", object(r#""note": "\ud800""#)),
        ("low surrogate", object(r#""note": "\udc00""#)),
        ("surrogate in jsonb", object(r#""j": "\ud800\ud800""#)),
        ("surrogate in a key", r#"{"\ud800": 1000000}"#.to_owned()),
        ("bad escape", object(r#""note": "\x41""#)),
        ("key twice", object(r#""id": 1000000"#)),
        ("huge id", r#"{"id": 1e999999999}"#.to_owned()),
        ("long number", format!(r#"{{"id": 1{}}}"#, "0".repeat(100_000))),
        ("huge number in jsonb", object(r#""j": 1e999999999"#)),
        ("long number in jsonb", object(&format!(r#""j": 1{}"#, "0".repeat(200_000)))),
        ("deep arrays", object(&format!(r#""j": {}"#, deep("[", "]")))),
        ("deep objects", object(&format!(r#""j": {}"#, deep(r#"{"a":"#, "}")))),
        ("deep, unclosed", "[".repeat(900_000)),
        ("deep instead of an object", deep("[", "]")),
        ("long unknown column", format!(r#"{{"{}": 1}}"#, "x".repeat(900_000))),
        ("many unknown columns", {
            let members: Vec<String> = (0..50_000).map(|n| format!(r#""c{n}": 1"#)).collect();
            format!("{{{}}}", members.join(", "))
        }),
        ("long text for an integer", format!(r#"{{"id": "{}"}}"#, "é".repeat(400_000))),
    ];
    let mut junk: Vec<Junk> = texts.map(|(name, text)| Junk::new(name, text)).into();
    let utf16: Vec<u8> =
        object(r#""note": "n""#).encode_utf16().flat_map(u16::to_le_bytes).collect();
    junk.extend([
        Junk::new("UTF-16", utf16),
        Junk::new("Latin-1", b"{\"id\": 1000000, \"note\": \"\xe9\"}".to_vec()),
        Junk::new("overlong", b"{\"id\": 1000000, \"note\": \"\xc0\x80\"}".to_vec()),
        Junk::new("surrogate bytes", b"{\"id\": 1000000, \"note\": \"\xed\xa0\x80\"}".to_vec()),
        Junk::new("zeroes", vec![0; 5_000_000]),
        Junk::new("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec()),
        Junk::new("Confluent header", b"\x00\x00\x00\x00\x01{\"id\": 1000000}".to_vec()),
    ]);
    for (name, key) in [("no key either", None), ("binary key", Some(&b"\xff\x00\xfe"[..]))] {
        let message = Message { key, headers: HEADERS, ..Message::default() };
        junk.push(Junk { name: name.to_owned(), message, may_be_good: false });
    }
    junk
}

/// Odd, but allowed.
const HEADERS: &[(&str, Option<&[u8]>)] =
    &[("", None), ("é", Some(b"")), ("twice", Some(b"\xff\x00")), ("twice", None)];

/// The few megabytes live until the test's process ends.
fn of(payload: impl Into<Vec<u8>>) -> Message<'static> {
    let payload: &'static [u8] = Vec::leak(payload.into());
    Message { payload: Some(payload), ..Message::default() }
}
