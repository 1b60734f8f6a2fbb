//! What rows are put in order by before they are copied.

use crate::encode::Encoder;

/// Of a longer key, the first columns say the order.
pub const MOST_KEY_COLUMNS: usize = 4;

/// The first sixteen bytes of a row's encoded key. Integers, dates and times compare as in the database,
/// texts as in collation C; of other types it is some order, the same at each time.
///
/// Rows that are staged in the order of their keys find these near each other in the target's index,
/// and need not be sorted by the merge where the prefix is the whole key. Nothing else depends on this
/// order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPrefix(u128);

impl KeyPrefix {
    /// Whether the order of keys of these columns is, in the database, that of their prefixes.
    pub fn is_the_order_of(columns: impl IntoIterator<Item = Option<Encoder>>) -> bool {
        let widths: Vec<_> = columns.into_iter().map(|column| column.and_then(width)).collect();
        let total: Option<usize> = widths.iter().copied().sum();
        (1..=MOST_KEY_COLUMNS).contains(&widths.len())
            && total.is_some_and(|total| total <= size_of::<Self>())
    }
}

/// The bytes of a value of a type whose values, once signs are turned, compare as their bytes.
fn width(encoder: Encoder) -> Option<usize> {
    match encoder {
        Encoder::Bool => Some(1),
        Encoder::Int2 => Some(2),
        Encoder::Int4 | Encoder::Oid | Encoder::Date => Some(4),
        Encoder::Int8 | Encoder::Time | Encoder::Timestamp | Encoder::Timestamptz => Some(8),
        Encoder::Uuid => Some(16),
        _ => None,
    }
}

/// Puts together a [`KeyPrefix`].
#[derive(Debug, Default)]
pub struct KeyPrefixBuilder {
    bytes: [u8; 16],
    length: usize,
}

impl KeyPrefixBuilder {
    /// Adds the next column's encoded value.
    pub fn push(&mut self, encoder: Option<Encoder>, value: &[u8]) {
        let room = &mut self.bytes[self.length..];
        let taken = value.len().min(room.len());
        room[..taken].copy_from_slice(&value[..taken]);
        if taken > 0 && encoder.is_some_and(is_signed) {
            room[0] ^= 0x80;
        }
        self.length += taken;
    }

    /// What was pushed.
    pub fn finish(self) -> KeyPrefix {
        KeyPrefix(u128::from_be_bytes(self.bytes))
    }
}

/// Whether values are numbers in two's complement.
fn is_signed(encoder: Encoder) -> bool {
    matches!(
        encoder,
        Encoder::Int2
            | Encoder::Int4
            | Encoder::Int8
            | Encoder::Date
            | Encoder::Time
            | Encoder::Timestamp
            | Encoder::Timestamptz
    )
}

#[cfg(test)]
mod tests {
    use super::{KeyPrefix, KeyPrefixBuilder};
    use crate::encode::Encoder;

    fn prefix(columns: &[(Encoder, &[u8])]) -> KeyPrefix {
        let mut builder = KeyPrefixBuilder::default();
        for (encoder, value) in columns {
            builder.push(Some(*encoder), value);
        }
        builder.finish()
    }

    #[test]
    fn numbers_stand_in_their_order() {
        let numbers = [i32::MIN, -70_000, -1, 0, 1, 70_000, i32::MAX];
        let keys = numbers.map(|first| {
            [i64::MIN, -1, 0, i64::MAX].map(|second| {
                let (first, second) = (first.to_be_bytes(), second.to_be_bytes());
                prefix(&[(Encoder::Int4, &first), (Encoder::Timestamptz, &second)])
            })
        });
        assert!(keys.as_flattened().is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn texts_stand_in_the_order_of_their_bytes() {
        let keys = ["", "A", "a", "a text that is too long", "aa", "b", "é"]
            .map(|text| prefix(&[(Encoder::Text, text.as_bytes())]));
        assert!(keys.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn short_keys_of_plain_types_are_told_apart() {
        use Encoder::{Bool, Date, Float8, Int2, Int4, Int8, Text, Timestamptz, Uuid};
        for key in [&[Int4][..], &[Int4, Timestamptz], &[Uuid], &[Int8, Int8], &[Bool, Int2, Date]]
        {
            assert!(KeyPrefix::is_the_order_of(key.iter().copied().map(Some)), "{key:?}");
        }
        for key in
            [&[][..], &[Text], &[Int4, Float8], &[Uuid, Int2], &[Int8, Int8, Bool], &[Int2; 5]]
        {
            assert!(!KeyPrefix::is_the_order_of(key.iter().copied().map(Some)), "{key:?}");
        }
        assert!(!KeyPrefix::is_the_order_of([Some(Int4), None]));
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let long = prefix(&[(Encoder::Text, b"0123456789abcdef tail"), (Encoder::Int4, &[1; 4])]);
        assert_eq!(long, prefix(&[(Encoder::Text, b"0123456789abcdef")]));
    }
}
