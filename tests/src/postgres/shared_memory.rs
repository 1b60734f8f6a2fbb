//! What a killed postmaster leaves in the kernel.

use std::{fs, path::Path, process::Command};

/// Removes the System V shared memory of every cluster right below `directory` that was killed
/// before it could do so itself. (All other memory is mapped, and goes with the processes.)
pub fn remove_all(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if let Ok(pid_file) = fs::read_to_string(entry.path().join("postmaster.pid"))
            && let Some(segment) = segment(&pid_file)
        {
            // It may be gone, or not ours: then it is not ours to remove.
            let _ = Command::new("ipcrm").arg("--shmem-id").arg(segment).output();
        }
    }
}

/// The seventh line of `postmaster.pid` is the segment's key and its id.
fn segment(pid_file: &str) -> Option<&str> {
    pid_file.lines().nth(6)?.split_whitespace().nth(1)
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn reads_the_id_of_the_segment() {
        let file = "17\n/data\n1700000000\n5432\n/socket\n127.0.0.1\n   123456     98304\nready\n";
        assert_eq!(segment(file), Some("98304"));
        assert_eq!(segment("17\n/data\n"), None);
    }
}
