//! The servers that everything is measured on: those that the benchmark starts for itself, or
//! those that a user names. There, all that it makes has a name of its own and goes again.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use forebay_tests::{Broker, Database, Endpoint, Postgres, Topic, scratch::Scratch, topic, wait};
use tokio_postgres::{Client, error::SqlState};

/// Of own servers. Fit for a load: no checkpoint falls into a measurement. All that makes a commit
/// safe is on.
const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
];

/// Those without which figures are of a database that loses commits.
const SAFE: &[&str] = &["fsync", "synchronous_commit", "full_page_writes"];

/// Those that the extension makes, which belong to no database.
const ROLES: &[&str] = &["forebay_admin", "forebay_writer", "forebay_reader"];

/// What all names begin with.
const PREFIX: &str = "forebay_bench";

/// Servers that a user names.
#[derive(Debug)]
pub struct Named {
    pub primary: Endpoint,
    pub replica: Option<Endpoint>,
    pub kafka: String,
}

/// A primary, a broker, and perhaps a replica.
pub struct Servers {
    primary: Endpoint,
    replica: Option<Endpoint>,
    kafka: String,
    /// The primary's, which are of interest.
    pub settings: BTreeMap<String, String>,
    /// What tells the names of this run from those of others.
    tag: String,
    next: Cell<u32>,
    made: RefCell<Made>,
    own: Option<Own>,
    directory: PathBuf,
    // Last: it is removed when nobody writes to it any more.
    scratch: Scratch,
}

/// Those that were started for this run. They end with this value.
struct Own {
    primary: Postgres,
    broker: Broker,
}

/// Names of what was made on them.
#[derive(Default)]
struct Made {
    databases: BTreeSet<String>,
    topics: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// Of [`ROLES`], those that were there before.
    roles_before: BTreeSet<String>,
}

/// A replica, which ends with this value if it was started for it.
pub struct Replica {
    pub endpoint: Endpoint,
    own: Option<Postgres>,
}

impl Servers {
    /// Starts servers.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::make()?;
        let (primary, broker) = tokio::try_join!(
            Postgres::primary(scratch.path(), "primary", SETTINGS),
            Broker::create(scratch.path(), "kafka", &[]),
        )?;
        let endpoint = primary.endpoint().clone();
        let kafka = broker.bootstrap_servers();
        let own = Some(Own { primary, broker });
        Self::with(scratch, endpoint, None, kafka, own).await
    }

    /// Takes those that a user names, if they have what it takes.
    pub async fn named(named: Named) -> Result<Self> {
        let Named { primary, replica, kafka } = named;
        let client = primary.connect("postgres").await.context("PRIMARY")?;
        check_primary(&client).await.context("PRIMARY")?;
        if let Some(replica) = &replica {
            check_replica(replica, &client).await.context("REPLICA")?;
        }
        topic::names(&kafka).await.with_context(|| format!("BROKERS: ask {kafka}"))?;
        let servers = Self::with(Scratch::make()?, primary, replica, kafka, None).await?;
        servers.made.borrow_mut().roles_before = roles(&client).await?;
        for name in
            SAFE.iter().filter(|name| servers.settings.get(**name).is_none_or(|v| v == "off"))
        {
            println!("note: {name} is off on this primary: its figures say nothing of production");
        }
        println!("what is made on these servers is called {PREFIX}_{}_…", servers.tag);
        Ok(servers)
    }

    async fn with(
        scratch: Scratch,
        primary: Endpoint,
        replica: Option<Endpoint>,
        kafka: String,
        own: Option<Own>,
    ) -> Result<Self> {
        // Configurations have passwords.
        let directory = scratch.path().join("private");
        fs::create_dir(&directory).with_context(|| format!("make {}", directory.display()))?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        let settings = settings(&primary.connect("postgres").await?).await?;
        let tag = format!("{:012x}", rand::random::<u64>() >> 16);
        let (next, made) = (Cell::new(0), RefCell::default());
        Ok(Self { primary, replica, kafka, settings, tag, next, made, own, directory, scratch })
    }

    /// The broker's bootstrap servers.
    pub fn kafka(&self) -> &str {
        &self.kafka
    }

    pub fn primary(&self) -> &Endpoint {
        &self.primary
    }

    /// The primary's postmaster, if it runs here for this benchmark alone.
    pub fn postmaster(&self) -> Option<u32> {
        self.own.as_ref().and_then(|own| own.primary.process_id())
    }

    /// Where the broker keeps its partitions, if that can be looked at.
    pub fn broker_directory(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.broker.directory())
    }

    /// A folder for files that nobody else may read.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A folder for programs that run as the servers' account.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Whether there is a replica, or could be.
    pub fn has_replica(&self) -> bool {
        self.own.is_some() || self.replica.is_some()
    }

    /// The replica; an own one starts now.
    pub async fn replica(&self) -> Result<Replica> {
        if let Some(endpoint) = &self.replica {
            return Ok(Replica { endpoint: endpoint.clone(), own: None });
        }
        ensure!(self.own.is_some(), "there is no replica: name one with REPLICA='host=… user=…'");
        let own = Postgres::replica(self.scratch(), "replica", &self.primary, SETTINGS).await?;
        Ok(Replica { endpoint: own.endpoint().clone(), own: Some(own) })
    }

    /// Ends an own replica. Its slot would keep all WAL of what is measured next.
    pub async fn end_replica(&self, replica: Replica) -> Result<()> {
        let Some(mut own) = replica.own else { return Ok(()) };
        own.stop().await?;
        let primary = &self.primary.connect("postgres").await?;
        let sql = "select pg_drop_replication_slot(slot_name) from pg_replication_slots \
                   where slot_name = 'replica' and not active";
        wait::until("the end of the replica's slot", || async move {
            Ok((primary.execute(sql, &[]).await? == 1).then_some(()))
        })
        .await
    }

    /// A name that nothing else has, there or in another run.
    pub fn name(&self, what: &str) -> String {
        let number = self.next.replace(self.next.get() + 1);
        format!("{PREFIX}_{}_{what}_{number}", self.tag)
    }

    /// The name of a source, whose group may have offsets.
    pub fn source(&self) -> String {
        let source = self.name("source");
        self.remember_group(format!("forebay.{source}"));
        source
    }

    /// A consumer group goes in the end, if there is such.
    pub fn remember_group(&self, name: String) {
        self.made.borrow_mut().groups.insert(name);
    }

    /// A database that others make goes in the end, if there is such.
    pub fn remember_database(&self, name: String) {
        self.made.borrow_mut().databases.insert(name);
    }

    /// A new database with the extension.
    pub async fn database(&self, replica: Option<&Endpoint>) -> Result<Database> {
        let name = self.name("database");
        self.remember_database(name.clone());
        let mut database = Database::create_named(&self.primary, replica, &name).await?;
        database.create_extension().await?;
        Ok(database)
    }

    /// A copy of a database to which nobody is connected.
    pub async fn copy_of(&self, template: &str) -> Result<Database> {
        let name = self.name("copy");
        self.remember_database(name.clone());
        Database::copy_on(&self.primary, &name, template).await
    }

    /// Drops a database before the end.
    pub async fn drop_database(&self, database: Database) -> Result<()> {
        let name = database.name().to_owned();
        drop(database);
        drop_database(&self.primary.connect("postgres").await?, &name).await?;
        self.made.borrow_mut().databases.remove(&name);
        Ok(())
    }

    /// A new topic.
    pub async fn topic(&self, partitions: i32) -> Result<Topic> {
        let name = self.name("topic");
        self.made.borrow_mut().topics.insert(name.clone());
        Topic::create_with(&self.kafka, &name, partitions, &[]).await
    }

    /// Deletes a topic before the end.
    pub async fn delete_topic(&self, topic: &Topic) -> Result<()> {
        topic.delete(&self.kafka).await?;
        self.made.borrow_mut().topics.remove(topic.name());
        Ok(())
    }

    /// Leaves servers that others go on with as they were.
    pub async fn clear(self) -> Result<()> {
        if self.own.is_some() {
            return Ok(());
        }
        let made = self.made.take();
        // What the one refuses is no reason to leave anything on the other.
        let cleared = [self.clear_primary(&made).await, self.clear_broker(&made).await];
        cleared.into_iter().collect()
    }

    async fn clear_primary(&self, made: &Made) -> Result<()> {
        let client = self.primary.connect("postgres").await?;
        for name in &made.databases {
            drop_database(&client, name).await?;
        }
        for role in roles(&client).await?.difference(&made.roles_before) {
            drop_role(&client, role).await?;
        }
        Ok(())
    }

    async fn clear_broker(&self, made: &Made) -> Result<()> {
        for name in topic::names(&self.kafka).await?.intersection(&made.topics) {
            Topic::existing(name, 0).delete(&self.kafka).await?;
        }
        for group in &made.groups {
            topic::delete_group(&self.kafka, group).await?;
        }
        Ok(())
    }
}

async fn drop_database(client: &Client, name: &str) -> Result<()> {
    let sql = format!("drop database if exists {name} with (force)");
    client.batch_execute(&sql).await.with_context(|| format!("drop database {name}"))
}

/// Drops a role, if nobody has come to need it.
async fn drop_role(client: &Client, name: &str) -> Result<()> {
    match client.batch_execute(&format!("drop role {name}")).await {
        Err(error) if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) => Ok(()),
        dropped => dropped.with_context(|| format!("drop role {name}")),
    }
}

/// Of [`ROLES`], those that are there.
async fn roles(client: &Client) -> Result<BTreeSet<String>> {
    let sql = "select rolname::text from pg_roles where rolname = any($1)";
    Ok(client.query(sql, &[&ROLES]).await?.iter().map(|row| row.get(0)).collect())
}

async fn settings(client: &Client) -> Result<BTreeMap<String, String>> {
    let names: Vec<_> = SETTINGS.iter().map(|(name, _)| *name).chain(["server_version"]).collect();
    let sql = "select name, current_setting(name) from pg_settings where name = any($1)";
    let rows = client.query(sql, &[&names]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn check_primary(client: &Client) -> Result<()> {
    let sql = "select pg_is_in_recovery(), \
               (select rolsuper from pg_roles where rolname = current_user), \
               exists (select from pg_available_extensions where name = 'forebay')";
    let row = client.query_one(sql, &[]).await?;
    ensure!(!row.get::<_, bool>(0), "it is a replica");
    ensure!(row.get::<_, bool>(1), "the user is no superuser, who alone makes the extension");
    ensure!(
        row.get::<_, bool>(2),
        "it does not have the extension: see \"Install the extension\" in README.md"
    );
    Ok(())
}

async fn check_replica(replica: &Endpoint, primary: &Client) -> Result<()> {
    let replica = replica.connect("postgres").await?;
    ensure!(
        replica.query_one("select pg_is_in_recovery()", &[]).await?.get::<_, bool>(0),
        "it is a primary"
    );
    let sql = "select system_identifier from pg_control_system()";
    let (one, other) = (replica.query_one(sql, &[]).await?, primary.query_one(sql, &[]).await?);
    ensure!(one.get::<_, i64>(0) == other.get::<_, i64>(0), "it is a replica of another primary");
    Ok(())
}
