//! Pixels of the sky, which are dimensions without a table: nothing but this says which there are.

/// The first and the last pixel of a dimension such as `htm7` or `healpix9`; none for other
/// dimensions.
pub fn pixels_of(dimension: &str) -> Option<(i64, i64)> {
    let level = dimension.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let system = dimension.strip_suffix(level)?;
    let pixels = 1_i64.checked_shl(2 * level.parse::<u32>().ok()?)?;
    match system {
        "htm" => Some((8 * pixels, 16 * pixels - 1)),
        "healpix" => Some((0, 12 * pixels - 1)),
        _ => None,
    }
}
