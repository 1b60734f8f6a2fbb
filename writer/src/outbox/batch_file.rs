//! Files with the ids of a batch: whole or not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file completely, then gives it its name. One of that name is replaced.
///
/// # Errors
/// What the system says. Nothing of the name has changed then.
pub fn write(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!(".{name}.{:016x}", fastrand::u64(..)));
    let written = write_through(&unfinished, content)
        .and_then(|()| fs::rename(&unfinished, directory.join(name)))
        .and_then(|()| File::open(directory)?.sync_all());
    if written.is_err() {
        // The first error says more.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Whether files can be written there.
///
/// # Errors
/// Why not.
pub fn probe(directory: &Path) -> io::Result<()> {
    let name = format!(".forebay-check.{:016x}", fastrand::u64(..));
    write(directory, &name, b"")?;
    fs::remove_file(directory.join(name))
}

fn write_through(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}
