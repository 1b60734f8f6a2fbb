//! The log: lines for people or JSON, on stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Whether a text is a level or a list of directives.
pub fn is_valid_filter(text: &str) -> bool {
    !text.trim().is_empty() && EnvFilter::try_new(text).is_ok()
}

/// Starts the log of this process. Called once, before anything logs.
pub fn start(config: &LogConfig) {
    let filter = EnvFilter::new(&config.level);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        LogFormat::Human => {
            builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
}
