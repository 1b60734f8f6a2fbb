//! Free TCP ports.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Result, anyhow};

/// Below the range from which Linux takes the ports of outgoing connections, so that a port
/// cannot be lost between the look and the server's start.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// A port of 127.0.0.1 that nobody listens on now.
///
/// # Errors
///
/// If there is none.
pub fn free() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes of one run look at the same time: each starts somewhere else.
    let start = (process::id().wrapping_mul(611) % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|_| NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .ok_or_else(|| anyhow!("no free port on 127.0.0.1"))
}
