//! A supervisor that is killed can't stop the tests that run under it: they notice, and end.

use std::{
    io::Read,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process, thread,
};

use anyhow::{Context, Result};

/// The supervisor's end: whoever attaches is held on to until this process ends.
///
/// # Errors
///
/// If the socket can't be made.
pub fn hold(socket: &Path) -> Result<()> {
    let listener =
        UnixListener::bind(socket).with_context(|| format!("listen on {}", socket.display()))?;
    thread::spawn(move || {
        let _held: Vec<UnixStream> = listener.incoming().flatten().collect();
    });
    Ok(())
}

/// The tests' end: ends this process, and with it the writers that it started, as soon as the
/// supervisor is gone.
///
/// # Errors
///
/// If there is no supervisor.
pub fn attach(socket: &Path) -> Result<()> {
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("attach to {}", socket.display()))?;
    thread::spawn(move || {
        // Nothing is ever sent: the read ends with the supervisor.
        let _ = stream.read(&mut [0]);
        eprintln!("the supervisor of this test run is gone");
        process::exit(70);
    });
    Ok(())
}
