//! Regions as the library's bytes, whose layouts are in `decode`.

use super::region::Shape;
use super::vector::Vector;

/// Appends a region.
pub fn append(shape: &Shape, out: &mut Vec<u8>) {
    match shape {
        Shape::ConvexPolygon(polygon) => {
            out.push(b'p');
            polygon.vertices().iter().for_each(|&vertex| append_point(vertex, out));
        }
        Shape::Circle(circle, radius) => {
            out.push(b'c');
            append_point(circle.centre, out);
            append_numbers(&[circle.squared_chord, *radius], out);
        }
        Shape::Ellipse(ellipse) => {
            out.push(b'e');
            append_numbers(&ellipse.matrix, out);
            append_numbers(&ellipse.axes, out);
            append_numbers(&ellipse.derived, out);
        }
        Shape::Box(lon_lat_box) => {
            out.push(b'b');
            append_numbers(&lon_lat_box.ends(), out);
        }
        Shape::Union(operands) => append_compound(b'u', operands, out),
        Shape::Intersection(operands) => append_compound(b'i', operands, out),
    }
}

fn append_compound(kind: u8, operands: &[Shape], out: &mut Vec<u8>) {
    out.push(kind);
    for operand in operands {
        let start = out.len() + 8;
        out.extend_from_slice(&[0; 8]);
        append(operand, out);
        let length = ((out.len() - start) as u64).to_le_bytes();
        out[start - 8..start].copy_from_slice(&length);
    }
}

fn append_point(point: Vector, out: &mut Vec<u8>) {
    append_numbers(&[point.x, point.y, point.z], out);
}

fn append_numbers(numbers: &[f64], out: &mut Vec<u8>) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}
