//! Fields of a binary COPY row: a length, then so many bytes.

use crate::rejection::{Rejection, SqlState};

/// Appends a null.
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i32).to_be_bytes());
}

/// Appends a field of few bytes.
pub fn fixed(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a field of what `write` appends.
pub fn variable(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    /// PostgreSQL takes no field of 1 GiB.
    const LONGEST: usize = (1 << 30) - 1024;
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let length = out.len() - start - 4;
    if length > LONGEST {
        return Err(Rejection::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("a value of {length} bytes is longer than a column can be"),
        ));
    }
    out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(())
}
