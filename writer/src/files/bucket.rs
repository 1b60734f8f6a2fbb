//! A place in an S3 store: what keys of a bucket begin with.

use std::error::Error as _;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut, S3CopyIfNotExists,
};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _,
    PutMode, PutPayload, RetryConfig,
};

use super::digest::Digest;
use super::look::{Found, Look, StoreError, limit};
use super::s3_signature::OpenSsl;
use crate::config::S3Config;
use crate::decode::Checksum;

/// The longest key that S3 takes, in bytes.
const LONGEST_KEY: usize = 1024;

/// The largest object that S3 copies at once.
const LARGEST_COPY: u64 = 5 << 30;

/// How a bucket is reached.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Arc<AmazonS3>,
    timeout: Duration,
}

/// What keys begin with, in a bucket.
#[derive(Debug, Clone)]
pub struct Prefix {
    bucket: Bucket,
    prefix: String,
    /// As people write it.
    shown: String,
}

impl Bucket {
    /// Makes a client. It talks to nobody yet.
    ///
    /// # Errors
    /// If the settings, or AWS's variables, contradict themselves.
    pub fn new(name: &str, s3: &S3Config, timeout: Duration) -> Result<Self, StoreError> {
        let options = ClientOptions::new().with_timeout_disabled().with_connect_timeout(timeout);
        // The batch is tried again anyhow, and that is seen.
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 1,
            retry_timeout: timeout,
        };
        // Variables that belong to another login, such as a session's token, must not come in between.
        let begun = match &s3.login {
            Some((id, secret)) => AmazonS3Builder::new()
                .with_access_key_id(id)
                .with_secret_access_key(secret.reveal()),
            None => AmazonS3Builder::from_env(),
        };
        let mut builder = begun
            .with_client_options(options)
            .with_retry(retry)
            .with_crypto_provider(Arc::new(OpenSsl))
            .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_disable_bulk_delete(true)
            .with_bucket_name(name);
        if let Some(endpoint) = &s3.endpoint {
            let is_plain = endpoint.starts_with("http://");
            builder = builder
                .with_config(AmazonS3ConfigKey::S3Endpoint, endpoint)
                .with_allow_http(is_plain);
        }
        if let Some(region) = &s3.region {
            builder = builder.with_region(region);
        }
        let client = builder.build().map_err(|error| {
            StoreError::new(format_args!("make a client for s3://{name}"), said(&error))
        })?;
        Ok(Self { client: Arc::new(client), timeout })
    }

    /// Waits for an answer, but not longer than that.
    async fn within<T>(
        &self,
        limit: Duration,
        asked: impl Display,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, StoreError> {
        let answered = tokio::time::timeout(limit, answer).await;
        answered.map_err(|_| StoreError::no_answer(asked, limit))
    }
}

impl Prefix {
    /// A place in the bucket. `shown` is what people write for it.
    pub fn new(bucket: Bucket, prefix: &str, shown: String) -> Self {
        Self { bucket, prefix: prefix.to_owned(), shown }
    }

    /// The key of a file, as it is: nothing in it is quoted.
    fn key(&self, path: &str) -> Result<Path, String> {
        let key = if self.prefix.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.prefix)
        };
        if key.len() > LONGEST_KEY {
            return Err(format!("has too long a name: S3's keys have up to {LONGEST_KEY} bytes"));
        }
        Path::parse(key).map_err(|error| format!("has a name that S3 does not take: {error}"))
    }

    /// [`key`](Self::key), of a file that a look has found.
    fn key_of_found(&self, path: &str, asked: impl Display) -> Result<Path, StoreError> {
        self.key(path).map_err(|reason| StoreError::new(asked, reason))
    }

    /// Looks at a file.
    pub async fn look(&self, path: &str) -> Result<Look, StoreError> {
        let key = match self.key(path) {
            Ok(key) => key,
            Err(reason) => return Ok(Look::Unfit(reason)),
        };
        let asked = self.asked("look at", path);
        let answer = self.bucket.client.head(&key);
        match self.bucket.within(self.bucket.timeout, &asked, answer).await? {
            Ok(meta) => Ok(Look::File(found(&meta))),
            Err(Error::NotFound { .. }) => Ok(Look::Missing),
            Err(error) => Err(StoreError::new(asked, said(&error))),
        }
    }

    /// Looks at a file that is to be copied.
    pub async fn look_staged(&self, path: &str) -> Result<Look, StoreError> {
        Ok(match self.look(path).await? {
            Look::File(found) if found.size > LARGEST_COPY => Look::Unfit(format!(
                "has {} bytes, more than the {LARGEST_COPY} that S3 copies at once",
                found.size
            )),
            look => look,
        })
    }

    /// Whether the bucket is there, and lets its keys be listed: else S3 does not say of a missing
    /// file that it is missing.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let asked = format!("list {}", self.shown);
        let prefix = Path::parse(&self.prefix).unwrap_or_default();
        let mut keys = self.bucket.client.list(Some(&prefix));
        let first = async { keys.next().await.transpose() };
        let answer = self.bucket.within(self.bucket.timeout, &asked, first).await?;
        answer.map(drop).map_err(|error| StoreError::new(asked, said(&error)))
    }

    /// Whether objects can be made here, and not replaced: makes one, makes it again, removes it.
    pub async fn probe_writing(&self) -> Result<(), StoreError> {
        let name = format!(".forebay-check.{:016x}", fastrand::u64(..));
        let asked = self.asked("make, keep and remove", &name);
        let key = self.key_of_found(&name, &asked)?;
        let (bucket, limit) = (&self.bucket, self.bucket.timeout);
        let made = bucket.within(limit, &asked, self.create(&key, &name)).await?;
        let again = bucket.within(limit, &asked, self.create(&key, &name)).await;
        let removed = bucket.within(limit, &asked, bucket.client.delete(&key)).await;
        made.map_err(|error| StoreError::new(&asked, said(&error)))?;
        removed?.map_err(|error| StoreError::new(&asked, said(&error)))?;
        match again? {
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
            Err(error) => Err(StoreError::new(asked, said(&error))),
            Ok(()) => Err(StoreError::new(
                asked,
                "the store replaces an object that it is told to keep (If-None-Match: *)",
            )),
        }
    }

    async fn create(&self, key: &Path, content: &str) -> Result<(), Error> {
        let payload = PutPayload::from(content.as_bytes().to_vec());
        let options = PutMode::Create.into();
        self.bucket.client.put_opts(key, payload, options).await.map(drop)
    }

    /// The checksum of a file that a look has found.
    pub async fn checksum(&self, path: &str, found: &Found) -> Result<Checksum, StoreError> {
        let asked = self.asked("read", path);
        let key = self.key_of_found(path, &asked)?;
        let limit = self.bucket.timeout;
        let got = self.bucket.within(limit, &asked, self.bucket.client.get(&key)).await?;
        let got = got.map_err(|error| refused(&asked, &error))?;
        if self::found(&got.meta) != *found {
            return Err(StoreError::changed(asked));
        }
        let mut digest = Digest::new()?;
        let mut chunks = got.into_stream();
        loop {
            let next = async { chunks.next().await.transpose() };
            let chunk = self.bucket.within(limit, &asked, next).await?;
            match chunk.map_err(|error| refused(&asked, &error))? {
                Some(chunk) => digest.add(&chunk)?,
                None => return digest.finish(),
            }
        }
    }

    /// Has the store copy a file that a look has found below `from`, unless there is one here.
    pub async fn copy(&self, from: &Self, path: &str, found: &Found) -> Result<(), StoreError> {
        let asked = self.asked("copy to", path);
        let (source, target) = (from.key_of_found(path, &asked)?, self.key_of_found(path, &asked)?);
        let client = &self.bucket.client;
        let limit = limit(self.bucket.timeout, found.size);
        let copied = if found.size == 0 {
            // A copy is made of parts, and a part that is empty is none for some stores.
            self.bucket.within(limit, &asked, self.create(&target, "")).await?
        } else {
            self.bucket.within(limit, &asked, client.copy_if_not_exists(&source, &target)).await?
        };
        copied.map_err(|error| refused(&asked, &error))?;
        let is_copied =
            matches!(self.look(path).await?, Look::File(copy) if copy.size == found.size);
        let is_unchanged = from.look(path).await? == Look::File(found.clone());
        if is_copied && is_unchanged { Ok(()) } else { Err(StoreError::changed(asked)) }
    }

    /// Removes a file. Whether it was there, S3 does not say.
    pub async fn remove(&self, path: &str) -> Result<(), StoreError> {
        let asked = self.asked("remove", path);
        let key = self.key_of_found(path, &asked)?;
        let removed = self.bucket.client.delete(&key);
        match self.bucket.within(self.bucket.timeout, &asked, removed).await? {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::new(asked, said(&error))),
        }
    }

    fn asked(&self, verb: &str, path: &str) -> String {
        format!("{verb} {}/{path}", self.shown)
    }
}

fn found(meta: &ObjectMeta) -> Found {
    let version =
        meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.timestamp_millis().to_string());
    Found { size: meta.size, version: format!("{}-{version}", meta.size) }
}

/// What was found before is gone, or what was to be made is there: a second look will tell.
fn refused(asked: &str, error: &Error) -> StoreError {
    match error {
        Error::NotFound { .. } | Error::AlreadyExists { .. } | Error::Precondition { .. } => {
            StoreError::changed(asked)
        }
        error => StoreError::new(asked, said(error)),
    }
}

/// An error with its causes, those left out that its own words repeat.
fn said(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
