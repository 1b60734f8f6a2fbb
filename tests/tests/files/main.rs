//! The files of datasets: looked for before their events are merged, and copied from where they are
//! staged; in directories, and in an S3 store. Nothing is lost, doubled, overwritten or left behind,
//! whatever is killed.
#![forbid(unsafe_code)]

mod check;
mod crash;
mod event;
mod hostile;
mod huge;
mod outage;
mod parallel;
mod site;
mod staging;
