//! Stages of the writer.
#![forbid(unsafe_code)]
