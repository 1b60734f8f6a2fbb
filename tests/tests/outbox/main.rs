//! What merged batches say to an outgoing topic: the datasets of the accepted events, at least once
//! whatever is killed, and once for a consumer that drops the positions that it has had.
#![forbid(unsafe_code)]

mod broker;
mod crash;
mod file;
mod refused;
mod replica;
mod sample;
mod site;
mod told;
