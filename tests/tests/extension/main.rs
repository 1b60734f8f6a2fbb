//! The extension by itself: staging tables, registration, rights.
#![forbid(unsafe_code)]

mod batch;
mod policy;
mod registration;
mod rights;
mod staging;
mod value;
