//! The benchmark on servers that a user names: what it measures, says and leaves behind. How fast
//! anything is, is no matter here.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use forebay_tests::{Stack, account, process::Process, topic, wait};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Every password is good for the stack's servers: one that must be quoted, and told to nobody.
const PASSWORD: &str = r"it\'s a secret \\";
const SECRET: &str = "s a secret";

/// The benchmark with the stack's servers, and a folder for files of its own.
struct Bench {
    stack: Stack,
    directory: PathBuf,
}

impl Bench {
    fn new(prefix: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let directory = stack.directory(prefix)?;
        Ok(Self { stack, directory })
    }

    /// Writes a file, and answers its path.
    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.directory.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// Writes a scenario of rows of the table of most scenarios, with these lines besides.
    fn scenario(&self, name: &str, systems: &str, lines: &str) -> Result<String> {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/tables/sensor.toml");
        let text = format!(
            "kind = 'rows'\ndescription = 'ours'\nsystems = [{systems}]\n{lines}\n\
             [stream]\ntable = '{}'\n",
            table.display()
        );
        self.file(name, &text)
    }

    fn command(&self, scenarios: &[&str], arguments: &[&str]) -> Command {
        let dsn = |port| format!("host=127.0.0.1 port={port} user=postgres password='{PASSWORD}'");
        let mut command = account::own_command(env!("CARGO_BIN_EXE_forebay-bench"));
        command.arg("--scenarios").arg(scenarios.join(",")).args(["--runs", "1"]).args(arguments);
        command.arg("--output").arg(&self.directory);
        command.env("FOREBAY_BENCH_PRIMARY", dsn(self.stack.primary().port));
        command.env("FOREBAY_BENCH_REPLICA", dsn(self.stack.replica().port));
        command.env("FOREBAY_BENCH_BROKERS", self.stack.kafka());
        command
    }

    async fn run(&self, scenarios: &[&str], arguments: &[&str]) -> Result<Ended> {
        self.run_command(self.command(scenarios, arguments)).await
    }

    async fn run_command(&self, mut command: Command) -> Result<Ended> {
        let Output { status, stdout, stderr } =
            tokio::task::spawn_blocking(move || command.output()).await??;
        let [stdout, stderr] =
            [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        ensure!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "{stdout}{stderr}");
        Ok(Ended { status, stdout, stderr })
    }

    /// The figures of a scenario.
    fn figures(&self, scenario: &str) -> Result<Value> {
        let path = self.directory.join(format!("{scenario}.json"));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let plot = fs::read_to_string(path.with_extension("svg"))?;
        ensure!(plot.starts_with("<svg ") && plot.ends_with("</svg>\n"), "{plot}");
        ensure!(!text.contains(SECRET) && !plot.contains(SECRET), "{text}{plot}");
        Ok(serde_json::from_str(&text)?)
    }

    /// All on the servers that has a name that begins so.
    async fn left_behind(&self, prefix: &str) -> Result<Vec<String>> {
        let primary = self.stack.primary().connect("postgres").await?;
        let sql = "select datname::text from pg_database union all select rolname from pg_roles \
                   union all select slot_name from pg_replication_slots";
        let mut names: Vec<String> =
            primary.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect();
        ensure!(names.iter().any(|name| name == "forebay_writer"), "the roles of others are gone");
        names.extend(topic::names(self.stack.kafka()).await?);
        names.extend(topic::groups(self.stack.kafka()).await?);
        names.retain(|name| name.contains(prefix));
        Ok(names)
    }

    async fn leaves_nothing(&self, said: &str) -> Result<()> {
        let left = self.left_behind(prefix(said)?).await?;
        ensure!(left.is_empty(), "{left:?} is left behind");
        Ok(())
    }
}

/// What the names of a run begin with, as it says itself.
fn prefix(said: &str) -> Result<&str> {
    let line =
        said.lines().find_map(|line| line.strip_prefix("what is made on these servers is called "));
    line.and_then(|line| line.strip_suffix('…')).with_context(|| format!("no prefix in {said}"))
}

struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn succeeded(&self) -> Result<()> {
        ensure!(self.status.success(), "{}: {}{}", self.status, self.stdout, self.stderr);
        Ok(())
    }

    /// It failed, and said all of these.
    fn failed(&self, words: &[&str]) -> Result<()> {
        ensure!(self.status.code() == Some(1), "{}: {}{}", self.status, self.stdout, self.stderr);
        for words in words {
            ensure!(self.stderr.contains(words), "`{words}` is not in: {}", self.stderr);
        }
        Ok(())
    }
}

const SYSTEMS: &str = "'copy', 'bulk-sql', 'forebay-1', 'forebay-2'";

const OWN_TABLE: &str = r#"
name = "reading"
key = ["id"]
create = "create table reading (id int8 primary key, taken timestamptz, words text)"
columns = [
    { name = "id", type = "int8", values = { every = 1 } },
    { name = "taken", type = "timestamptz", values = { every = 7 } },
    { name = "words", type = "text", values = { words = "it is {}" } },
]
"#;

#[tokio::test]
async fn a_users_scenario_is_measured_on_his_servers() -> Result<()> {
    let bench = Bench::new("bench_own")?;
    bench.file("table.toml", OWN_TABLE)?;
    let lines = "[[goals]]\nsystem = 'forebay-1'\nfigure = 'seconds'\nto = 'copy'\nat_most = 1e6";
    let scenario = bench.file(
        "mine.toml",
        &format!(
            "kind = 'rows'\ndescription = 'ours'\nsystems = [{SYSTEMS}]\n\
             rows_per_commit = 3000\n{lines}\n[stream]\ntable = 'table.toml'\npartitions = 3\n\
             order = 'ascending'\n[writer.memory]\nbudget = '96 MiB'"
        ),
    )?;
    let latency = "kind = 'latency'\ndescription = 'ours'\nloads = [0.5]\nwarm_up_seconds = 1\n\
                   seconds = 1\n[stream]\ntable = 'table.toml'";
    let latency = bench.file("soon.toml", latency)?;
    let ended = bench.run(&[&scenario, &latency], &["--rows", "20000"]).await?;
    ended.succeeded()?;
    bench.leaves_nothing(&ended.stdout).await?;
    let goal = "mine: time of forebay-1 is ";
    let goal = ended.stdout.lines().find(|line| line.starts_with(goal)).context("no goal")?;
    ensure!(goal.ends_with(" times that of copy (goal: at most 1000000; reached)"), "{goal}");

    let figures = bench.figures("mine")?;
    let measured = figures["measurements"].as_array().context("no measurements")?;
    let names: Vec<_> = measured.iter().filter_map(|one| one["system"].as_str()).collect();
    assert_eq!(names, ["copy", "bulk-sql", "forebay-1", "forebay-2"]);
    for one in measured {
        assert_eq!((&one["rows"], &one["events"]), (&20_000.into(), &20_000.into()), "{one}");
        for figure in ["seconds", "rows_per_second", "peak_rss_mib", "wal_bytes_per_row"] {
            ensure!(one[figure].as_f64().is_some_and(|value| value > 0.0), "{figure}: {one}");
        }
        // It can't be looked at: it is not made up.
        ensure!(one["server_cpu_seconds_per_million_rows"].is_null(), "{one}");
    }
    let steps = measured[2]["steps"].as_object().context("no steps")?;
    for step in ["decode", "stage", "resolve", "merge", "commit", "merge_look", "merge_write"] {
        ensure!(steps.contains_key(step), "{step}: {steps:?}");
    }
    assert_eq!(measured[2]["deadlocks"], 0, "of one worker");
    ensure!(measured[0]["deadlocks"].is_null(), "{}", measured[0]);
    assert_eq!(
        figures["command"],
        format!("make bench SCENARIOS={scenario} ROWS=20000 RUNS=1 PRIMARY=… REPLICA=… BROKERS=…")
    );

    let figures = bench.figures("soon")?;
    let load = &figures["loads"][0];
    ensure!(load["events"].as_u64().is_some_and(|events| events > 0), "{figures}");
    let percentiles = load["percentiles"].as_array().context("no percentiles")?;
    let values: Vec<_> =
        percentiles.iter().filter_map(|one| one["milliseconds"].as_f64()).collect();
    ensure!(values.len() == 4 && values.is_sorted() && values[0] > 0.0, "{figures}");
    Ok(())
}

#[tokio::test]
async fn the_scenarios_that_come_with_it_can_be_measured() -> Result<()> {
    let bench = Bench::new("bench_all")?;
    let scenarios = [
        "repeated-keys",
        "bad-events",
        "unchanged",
        "changed",
        "foreign-keys",
        "compressed",
        "growth",
        "backlog",
    ];
    let arguments =
        ["--systems=bulk-sql,forebay-1", "--rows=3000", "--sizes=5000", "--backlog=5000"];
    let ended = bench.run(&scenarios, &arguments).await?;
    ended.succeeded()?;
    bench.leaves_nothing(&ended.stdout).await?;
    for scenario in scenarios {
        bench.figures(scenario)?;
    }
    Ok(())
}

#[tokio::test]
async fn visits_are_measured_on_a_users_servers() -> Result<()> {
    let bench = Bench::new("bench_butler")?;
    let scenario = bench.file(
        "visits.toml",
        "kind = 'butler'\ndescription = 'ours'\npartitions = 2\ndetectors = 4\n\
         systems = ['butler-client', 'bulk-sql', 'forebay-1']\ndataset_types = 3\n\
         client_batch_events = 3\nbulk_sql_batch_events = 3",
    )?;
    let ended = bench.run(&[&scenario], &["--visits=2"]).await?;
    ended.succeeded()?;
    bench.leaves_nothing(&ended.stdout).await?;
    let figures = bench.figures("visits")?;
    let measured = figures["measurements"].as_array().context("no measurements")?;
    assert_eq!(measured.len(), 3);
    for one in measured {
        assert_eq!((&one["rows"], &one["events"]), (&24.into(), &8.into()), "{one}");
    }
    let ended = bench.run(&[&scenario], &["--systems=bulk-sql"]).await?;
    ended.failed(&["scenario visits: bulk-sql writes again what butler-client has written"])
}

#[tokio::test]
async fn what_is_wrong_with_a_scenario_is_said_before_anything_starts() -> Result<()> {
    let bench = Bench::new("bench_wrong")?;
    let unknown = bench.scenario("unknown.toml", SYSTEMS, "row_kinds = 3")?;
    let ended = bench.run(&["plain", &unknown], &[]).await?;
    ended.failed(&[&unknown, "line 4", "unknown field `row_kinds`, expected one of `kind`"])?;
    ensure!(ended.stdout.is_empty(), "{}", ended.stdout);
    let never = bench.scenario("never.toml", SYSTEMS, "rows_per_commit = 0")?;
    bench.run(&[&never], &[]).await?.failed(&[&never, "rows_per_commit is 0"])?;
    bench.run(&["unheard-of"], &[]).await?.failed(&["there is no scenario", "unheard-of.toml"])
}

#[tokio::test]
async fn servers_that_lack_something_are_refused() -> Result<()> {
    let bench = Bench::new("bench_servers")?;
    let primary = format!("host=127.0.0.1 port={} user=postgres", bench.stack.primary().port);
    let replica = format!("host=127.0.0.1 port={} user=postgres", bench.stack.replica().port);
    let nobody = "host=127.0.0.1 port=1 user=postgres".to_owned();
    for (variable, value, words) in [
        ("PRIMARY", &replica, "PRIMARY: it is a replica"),
        ("PRIMARY", &nobody, "PRIMARY: connect to postgres at 127.0.0.1:1"),
        ("PRIMARY", &format!("{primary} dbname=mine"), "PRIMARY: more parameters"),
        ("REPLICA", &primary, "REPLICA: it is a primary"),
        ("BROKERS", &"127.0.0.1:1".to_owned(), "BROKERS: ask 127.0.0.1:1"),
    ] {
        let mut command = bench.command(&["plain"], &[]);
        command.env(format!("FOREBAY_BENCH_{variable}"), value);
        bench.run_command(command).await?.failed(&[words])?;
    }
    let mut command = bench.command(&["latency"], &[]);
    command.env_remove("FOREBAY_BENCH_REPLICA");
    bench.run_command(command).await?.failed(&["latency needs a replica: name one by REPLICA="])
}

#[tokio::test]
async fn a_run_that_fails_says_who_and_why() -> Result<()> {
    let bench = Bench::new("bench_fails")?;
    let table = OWN_TABLE.replace("words text", "words text check (words <> words)");
    bench.file("table.toml", &table)?;
    let copy =
        "kind = 'rows'\ndescription = ''\nsystems = ['copy']\n[stream]\ntable = 'table.toml'";
    let copy = bench.file("refusing.toml", copy)?;
    let ended = bench.run(&[&copy], &["--rows=10"]).await?;
    ended.failed(&["scenario refusing: copy in run 1: copy has failed", "reading_words_check"])?;
    bench.leaves_nothing(&ended.stdout).await?;

    let writer =
        bench.scenario("writer.toml", "'forebay-1'", "[writer.batch]\nmax_age = 'never'")?;
    let ended = bench.run(&[&writer], &["--rows=10"]).await?;
    ended.failed(&["scenario writer: forebay-1 in run 1: the writer wrote last:", "max_age"])?;
    bench.leaves_nothing(&ended.stdout).await
}

#[tokio::test]
async fn a_run_that_is_stopped_leaves_nothing_behind() -> Result<()> {
    let bench = Bench::new("bench_stopped")?;
    let mut command = bench.command(&["plain"], &["--systems=copy", "--rows=100000000"]);
    command.stdout(Stdio::piped());
    let mut process = Process::start("the benchmark", command)?;
    let stdout = process.take_stdout().context("its output")?;
    let said = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(stdout).lines();
        lines.find(|line| line.as_ref().is_ok_and(|line| prefix(line).is_ok()))
    });
    let said = said.await?.context("no name")??;
    wait::until("a topic", async || {
        let made = bench.left_behind(prefix(&said)?).await?;
        Ok((!made.is_empty()).then_some(()))
    })
    .await?;
    let status = process.stop(Signal::SIGTERM, wait::LIMIT).await?;
    assert_eq!(status.code(), Some(1));
    bench.leaves_nothing(&said).await
}
