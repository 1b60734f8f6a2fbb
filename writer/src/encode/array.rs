//! Arrays of any type that has an encoder: JSON arrays, or literals.

use super::array_literal::{self, Part};
use super::array_shape::{MOST_DIMENSIONS, Shape};
use super::{Encoder, field, invalid};
use crate::json::{Json, Kind, visit_array};
use crate::rejection::{Rejection, SqlState};

/// What an array is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayOf {
    /// How its elements are encoded.
    pub element: &'static Encoder,
    /// The oid of their type.
    pub element_oid: u32,
}

impl ArrayOf {
    /// Appends a JSON array. Nested ones are further dimensions; but in arrays of json and jsonb,
    /// which have one dimension here, they are values.
    pub fn encode_json(self, array: Json<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let text = array.text();
        let dimensions = if self.element.takes_any_json() { 1 } else { leading(text, b'[') };
        self.encode(dimensions, out, |shape, has_null, out| {
            shape.open().ok_or_else(|| misshapen(text))?;
            self.put_elements(array, shape, has_null, out)?;
            shape.close().ok_or_else(|| misshapen(text))
        })
    }

    /// Appends the array that the literal is, such as `{1,NULL}` or `[0:1]={1,2}`.
    pub fn encode_literal(self, literal: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let (bounds, braces) =
            array_literal::split_bounds(literal).ok_or_else(|| invalid("array", literal))?;
        self.encode(leading(braces, b'{'), out, |shape, has_null, out| {
            array_literal::visit(braces, |part| match part {
                Part::Open => shape.open().ok_or_else(|| misshapen(literal)),
                Part::Close => shape.close().ok_or_else(|| misshapen(literal)),
                Part::Element(element) => {
                    shape.count_element().ok_or_else(|| misshapen(literal))?;
                    match element {
                        Some(element) => self.element.encode_literal(&element, out),
                        None => {
                            *has_null = true;
                            field::null(out);
                            Ok(())
                        }
                    }
                }
            })?;
            shape.set_bounds(&bounds).ok_or_else(|| misshapen(literal))?;
            if shape.has_too_large_index() {
                return Err(too_large("the indexes of an array go too far".to_owned()));
            }
            Ok(())
        })
    }

    /// Recursion ends where the dimensions do: an array that is deeper does not open.
    fn put_elements(
        self,
        array: Json<'_>,
        shape: &mut Shape,
        has_null: &mut bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let misshapen = || misshapen(array.text());
        visit_array(array.text(), |_, value| {
            if value.kind()? == Kind::Array && !self.element.takes_any_json() {
                shape.open().ok_or_else(misshapen)?;
                self.put_elements(value, shape, has_null, out)?;
                return shape.close().ok_or_else(misshapen);
            }
            shape.count_element().ok_or_else(misshapen)?;
            *has_null |= value.is_null();
            self.element.encode(value, out)
        })
    }

    /// Appends the header, and what `write` appends behind it.
    fn encode(
        self,
        dimensions: usize,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Shape, &mut bool, &mut Vec<u8>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        /// Number of dimensions, whether there are nulls, and the elements' type.
        const HEAD: usize = 12;
        if dimensions > MOST_DIMENSIONS {
            return Err(too_large(format!(
                "an array has at most {MOST_DIMENSIONS} dimensions, not {dimensions}"
            )));
        }
        field::variable(out, |out| {
            let start = out.len();
            out.resize(start + HEAD + 8 * dimensions, 0);
            let mut shape = Shape::new(dimensions);
            let mut has_null = false;
            write(&mut shape, &mut has_null, out)?;
            let dimensions = shape.dimensions();
            if dimensions.is_empty() {
                out.truncate(start + HEAD);
            }
            let head = [dimensions.len() as u32, u32::from(has_null), self.element_oid];
            let lengths = dimensions.iter().flat_map(|one| [one.length, one.first.cast_unsigned()]);
            let words = head.into_iter().chain(lengths);
            for (slot, word) in out[start..].chunks_exact_mut(4).zip(words) {
                slot.copy_from_slice(&word.to_be_bytes());
            }
            Ok(())
        })
    }
}

/// How many of these marks the text begins with, blanks left out.
fn leading(text: &str, mark: u8) -> usize {
    let significant = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    significant.take_while(|byte| *byte == mark).count()
}

fn misshapen(text: &str) -> Rejection {
    invalid("array of equal rows", text)
}

fn too_large(message: String) -> Rejection {
    Rejection::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}
