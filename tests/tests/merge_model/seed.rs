//! A seed per stream: `<schema>.<stream>`, by which `FOREBAY_TEST_SEED` replays it.

use std::{fmt, str::FromStr};

use anyhow::{Context, Result};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// What a stream and its schema are made from.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    pub schema: u32,
    pub stream: u32,
}

impl Seed {
    /// The one to replay, if any.
    pub fn from_env() -> Result<Option<Self>> {
        std::env::var("FOREBAY_TEST_SEED").ok().map(|seed| seed.parse()).transpose()
    }

    /// Streams of a schema that nobody has tried.
    pub fn of_new_schema(streams: u32) -> impl Iterator<Item = Self> {
        let schema = rand::rng().random();
        (0..streams).map(move |stream| Self { schema, stream })
    }

    pub fn schema_rng(self) -> StdRng {
        StdRng::seed_from_u64(u64::from(self.schema))
    }

    pub fn stream_rng(self) -> StdRng {
        StdRng::seed_from_u64(u64::from(self.schema) << 32 | u64::from(self.stream + 1))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}.{}", self.schema, self.stream)
    }
}

impl FromStr for Seed {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (schema, stream) = text.split_once('.').context("a seed is <schema>.<stream>")?;
        Ok(Self { schema: schema.parse()?, stream: stream.parse()? })
    }
}
