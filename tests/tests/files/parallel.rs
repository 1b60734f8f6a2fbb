//! How many files are looked at at a time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::site::{Kind, Site, fill};

const PARALLELISM: usize = 3;

/// Stands between a writer and its store, for requests and answers without bodies, and counts requests
/// that are under way. None passes before so many are.
struct Counter {
    under_way: AtomicUsize,
    most: AtomicUsize,
    passed: AtomicUsize,
    open: watch::Sender<bool>,
    store: String,
}

impl Counter {
    async fn start(store: String) -> Result<(Arc<Self>, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let counter = Arc::new(Self {
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
            open: watch::Sender::new(false),
            store,
        });
        let listening = counter.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counter = listening.clone();
                // A connection that is cut is the writer's concern.
                tokio::spawn(async move { counter.pass_on(client).await.ok() });
            }
        });
        Ok((counter, address))
    }

    async fn pass_on(&self, mut client: TcpStream) -> Result<()> {
        let mut server = TcpStream::connect(&self.store).await?;
        let mut open = self.open.subscribe();
        loop {
            let request = read_head(&mut client).await?;
            let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(under_way, Ordering::SeqCst);
            if under_way == PARALLELISM {
                self.open.send_replace(true);
            }
            open.wait_for(|open| *open).await?;
            server.write_all(&request).await?;
            let answer = read_head(&mut server).await?;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            self.passed.fetch_add(1, Ordering::SeqCst);
            client.write_all(&answer).await?;
        }
    }
}

/// The head of a request or an answer.
async fn read_head(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read_buf(&mut head).await?;
        anyhow::ensure!(read > 0, "the end");
    }
    Ok(head)
}

#[tokio::test]
async fn no_more_files_than_that_are_looked_at_at_a_time_and_no_fewer() -> Result<()> {
    let site = Site::create(Kind::Bucket, "parallel").await?;
    let events = &site.events[..5];
    for event in events {
        fill(&site.root(), event)?;
    }
    let store = site.store.as_ref().context("no store")?;
    let (counter, address) = Counter::start(store.address()).await?;
    let config = site
        .checking()
        .set("files.s3_endpoint", format!("http://{address}"))
        .set("files.parallelism", PARALLELISM as i64)
        .set("files.timeout", "60s");
    let sent = site.send(events).await?;
    let mut writer = site.start(config)?;
    site.wait_until_merged(&sent, &writer).await?;
    assert_eq!(counter.most.load(Ordering::SeqCst), PARALLELISM);
    let files: usize = events.iter().map(|event| event.paths().len()).sum();
    assert_eq!(counter.passed.load(Ordering::SeqCst), files);
    writer.stop().await
}
