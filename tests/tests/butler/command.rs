//! `forebay butler check` and `register`.

use anyhow::Result;
use forebay_tests::{
    Database, Stack, butler_sample,
    command::{Ended, forebay},
};

/// Gives all of a schema to a role.
const GIVE: &str = "
    do $$ declare relation record; begin
        for relation in
            select c.oid::regclass as name, c.relkind from pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'S')
        loop
            execute format('alter %s %s owner to %I',
                case relation.relkind when 'r' then 'table' else 'sequence' end, relation.name, 'ROLE');
        end loop;
    end $$";

struct Repository {
    stack: Stack,
    database: Database,
    dsn: String,
}

impl Repository {
    /// Of an owner who may register targets.
    async fn create() -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, "butler_command").await?;
        database.load(&butler_sample::schema()).await?;
        let dsn = database.create_member("forebay_admin").await?;
        let role = "select rolname::text from pg_roles where rolname like '%butler_command%member%' \
                    and pg_has_role(oid, 'forebay_admin', 'member') \
                    and position(rolname in $1) > 0";
        let role: String = database.primary().query_one(role, &[&dsn]).await?.get(0);
        database.primary().batch_execute(&GIVE.replace("ROLE", &role)).await?;
        Ok(Self { stack, database, dsn })
    }

    async fn run(&self, command: &str, schema: &str) -> Result<Ended> {
        let environment = [("FOREBAY_ADMIN_DSN".to_owned(), self.dsn.clone())];
        let environment = environment.iter().map(|(name, value)| (name, value));
        forebay(&self.stack, &["butler", command, "--schema", schema], environment).await
    }
}

#[tokio::test]
async fn registering_is_one_command() -> Result<()> {
    let repository = Repository::create().await?;
    let before = repository.run("check", "public").await?;
    assert_eq!(before.code, Some(1), "{before:?}");
    for line in [
        "universe: daf_butler 8",
        "missing: visit_detector_region_skypix_overlap is not a target",
        "schema public is not ready to be written",
    ] {
        assert!(before.stdout.contains(line), "{line}: {before:?}");
    }
    for _ in 0..2 {
        let registered = repository.run("register", "public").await?;
        assert_eq!(registered.code, Some(0), "{registered:?}");
        assert!(
            registered.stdout.contains("tables of schema public are targets"),
            "{registered:?}"
        );
    }
    let after = repository.run("check", "public").await?;
    assert_eq!(after.code, Some(0), "{after:?}");
    for line in [
        "target: dataset: identical",
        "target: visit: ignore",
        "target: dataset_tags_00000003: identical",
        "schema public is ready to be written",
    ] {
        assert!(after.stdout.contains(line), "{line}: {after:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_known_is_refused() -> Result<()> {
    let repository = Repository::create().await?;
    let elsewhere = repository.run("check", "nowhere").await?;
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("nowhere holds no Butler repository"), "{elsewhere:?}");
    let sql =
        "update butler_attributes set value = '1.0.0' where name like 'version:%ByDimensions%'";
    repository.database.primary().batch_execute(sql).await?;
    for command in ["check", "register"] {
        let ended = repository.run(command, "public").await?;
        assert_eq!(ended.code, Some(1), "{command}: {ended:?}");
        assert!(
            ended.stdout.contains("has version 1.0.0; supported is 2.0.0"),
            "{command}: {ended:?}"
        );
    }
    let targets = "select from forebay.target where on_conflict <> 'resolve'";
    assert!(repository.database.primary().query(targets, &[]).await?.is_empty());
    Ok(())
}
