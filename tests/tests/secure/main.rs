//! Encrypted and authenticated connections, against servers that demand them.

mod handshake;
mod path;
mod protocol;
mod refusal;
mod site;
