//! Whose fault an error is, entry by entry: the event's makes a dead letter of that event alone;
//! the world's makes none, and the batch is repeated until its cause is gone.

mod event;
mod scene;
mod unlisted;
mod world;
