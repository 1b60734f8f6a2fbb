//! What rows are put in order by before they are copied.

use crate::encode::Encoder;

/// The first sixteen bytes of a row's encoded key. Integers, dates and times compare as in the database,
/// texts as in collation C; of other types it is some order, the same at each time.
///
/// Rows that are staged in the order of their keys find these near each other in the target's index,
/// and cost the merge less to sort. It sorts them all the same: nothing depends on this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPrefix(u128);

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
    fn what_is_too_long_is_cut() {
        let long = prefix(&[(Encoder::Text, b"0123456789abcdef tail"), (Encoder::Int4, &[1; 4])]);
        assert_eq!(long, prefix(&[(Encoder::Text, b"0123456789abcdef")]));
    }
}
