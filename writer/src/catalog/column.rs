//! One column of a target.

use crate::encode::{Encoder, Shape};

/// A column that events can name: not dropped, not generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its number in `pg_attribute`.
    pub attnum: i16,
    /// Its name.
    pub name: String,
    /// The oid of its type.
    pub type_oid: u32,
    /// Its type modifier; −1 if it has none.
    pub typmod: i32,
    /// The type as SQL spells it, for messages.
    pub type_name: String,
    /// Whether it is declared not null.
    pub not_null: bool,
    /// How its values are encoded for a binary COPY; none if the writer has no encoder for the
    /// type.
    pub encoder: Option<Encoder>,
    /// How JSON becomes a literal of the type.
    pub shape: Shape,
    /// Its place in the target's key, if it is part of it. Set by [`Target::new`](super::Target::new).
    pub key_place: Option<usize>,
}

impl Column {
    /// A column of this type, which is staged as it is.
    pub fn new(
        attnum: i16,
        name: impl Into<String>,
        type_oid: u32,
        typmod: i32,
        type_name: impl Into<String>,
        not_null: bool,
    ) -> Self {
        Self {
            attnum,
            name: name.into(),
            type_oid,
            typmod,
            type_name: type_name.into(),
            not_null,
            encoder: Encoder::for_type(type_oid),
            shape: Shape::of_type(type_oid),
            key_place: None,
        }
    }

    /// Whether it is part of the target's key.
    pub fn in_key(&self) -> bool {
        self.key_place.is_some()
    }

    /// The same column, as the database says that it is staged: as text, or as the type itself.
    #[must_use]
    pub fn staged(self, as_text: bool, shape: Shape) -> Self {
        let encoder = if as_text { Some(Encoder::Literal(shape)) } else { self.encoder };
        Self { encoder, shape, ..self }
    }
}
