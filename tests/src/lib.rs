//! Forebay's harness: a real PostgreSQL primary, a real physical replica, a real Kafka broker,
//! and writers as processes of their own.
//!
//! A run of tests has one supervisor (`forebay-stack run -- cargo test`), which starts the shared
//! stack, hands its addresses on by environment variables and takes everything with it when it
//! ends, whatever way it ends. A test has a database and a topic of its own:
//!
//! ```no_run
//! # use forebay_tests::{Database, Producer, Stack, Topic, Writer, WriterConfig};
//! # async fn test() -> anyhow::Result<()> {
//! let stack = Stack::from_env()?;
//! let database = Database::create(&stack, "sensors").await?;
//! database.primary().batch_execute("create table sensor (id int primary key)").await?;
//! database.primary().batch_execute("select forebay.add_target('sensor')").await?;
//! let topic = Topic::create(stack.kafka(), "sensors", 1).await?;
//! let sent = Producer::new(stack.kafka())?.send(&topic, 0, None, Some(br#"{"id": 1}"#)).await?;
//! let config = WriterConfig::new(&stack, &database, "sensors", &topic).flat("public.sensor");
//! let mut writer = Writer::start(&stack, config)?;
//! database.wait_until_merged("sensors", &topic, sent).await?;
//! database.wait_until_replayed().await?;
//! writer.stop().await?;
//! # Ok(()) }
//! ```
//!
//! From the outside in:
//!
//! - [`supervisor`] starts and ends the stack; [`lifeline`] ends the tests with it;
//! - [`stack`] is what a test knows of it;
//! - [`postgres`], [`broker`] and [`object_store`] are servers, also for tests that need private ones, made of
//!   [`process`], [`account`], [`java`], [`port`] and [`scratch`], and protected by a [`certificate`];
//!   [`segment`] is where a broker keeps a partition;
//! - [`database`], [`topic`], [`producer`], [`transaction`], [`writer`] and [`progress`] are what a
//!   test is written with; [`received`] is what a topic holds;
//! - [`numbered_stream`] is a stream in which a lost or doubled event shows, and [`gate`] holds a
//!   writer up inside the database;
//! - [`dead_letter`] and [`metrics`] are what a writer leaves and tells, [`memory`] is what it
//!   takes, [`latency`] how long events are under way, and [`command`] is one that ends by itself;
//! - [`butler_sample`] is a real Butler repository, and two visits' events for it;
//!   [`butler_client`] is the official client, to be asked what it would do;
//! - [`wait`] is how anything waits: for an event, and not for ever.
#![forbid(unsafe_code)]

pub mod account;
pub mod broker;
pub mod butler_client;
pub mod butler_sample;
pub mod certificate;
pub mod command;
pub mod database;
pub mod dead_letter;
pub mod endpoint;
pub mod gate;
pub mod java;
pub mod latency;
pub mod lifeline;
pub mod memory;
pub mod metrics;
pub mod numbered_stream;
pub mod object_store;
pub mod port;
pub mod postgres;
pub mod process;
pub mod producer;
pub mod progress;
pub mod received;
pub mod scratch;
pub mod segment;
pub mod stack;
pub mod supervisor;
pub mod topic;
pub mod transaction;
pub mod wait;
pub mod writer;
pub mod writer_config;

pub use broker::Broker;
pub use database::Database;
pub use endpoint::Endpoint;
pub use gate::Gate;
pub use numbered_stream::NumberedStream;
pub use object_store::ObjectStore;
pub use postgres::Postgres;
pub use producer::{Delivery, Message, Producer};
pub use segment::Segment;
pub use stack::Stack;
pub use topic::Topic;
pub use transaction::Transactions;
pub use writer::Writer;
pub use writer_config::WriterConfig;
