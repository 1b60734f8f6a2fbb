//! The whole configuration: what is accepted, and how problems are told.

use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;

use super::{
    Config, Dsn, FormatConfig, KafkaSecurity, LogFormat, Problem, SaslMechanism, Start, Variables,
};
use crate::tls::Authorities;

const GOOD: &str = r#"
[source]
name = "sample"
topics = ["b", "a", "b"]
start = "2026-01-31T12:00:00Z"
[kafka]
bootstrap_servers = "127.0.0.1:9092"
[database]
dsn = "host=h dbname=d user=u password=hunter2"
[format]
kind = "flat"
table = "public.sensor"
[batch]
max_bytes = "4 MiB"
[dead_letters]
retention = "90 days"
[log]
format = "json"
"#;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    let variables: Variables =
        variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Config::read(Path::new("f.toml"), text, &variables)
}

fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    read(text, variables).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn reads_a_good_file() {
    let config = read(GOOD, &[]).unwrap();
    assert_eq!(config.source.topics, ["a", "b"]);
    assert_eq!(config.source.start, Start::At("2026-01-31T12:00:00Z".parse().unwrap()));
    assert_eq!(config.kafka.group_id, "forebay.sample");
    assert_eq!(config.format, FormatConfig::Flat { table: "public.sensor".to_owned() });
    assert_eq!(config.batch.max_rows, 20_000);
    assert_eq!(config.dead_letters.retention, Some(Duration::from_secs(90 * 86_400)));
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn says_every_problem_with_its_line() {
    let found = problems(
        r#"[source]
name = ""
topics = []
start = "latest"
[kafka]
bootstrap_server = "x:1"
[databse]
dsn = "host=a"
[format]
kind = "flat"
table = "sensor"
[batch]
max_rows = 0
max_bytes = "16"
[dead_letters]
retention = "0s"
[http]
listen = "nowhere"
[shutdown]
drain_timeout = 10
"#,
        &[],
    );
    let expected = [
        "f.toml: database.dsn is missing; add `dsn = \"host=… port=5432 dbname=… user=…\"` under \
         [database], or set FOREBAY_DATABASE_DSN",
        "f.toml:2: source.name is \"\"; give a string that is not empty",
        "f.toml:3: source.topics is empty; name at least one topic",
        "f.toml:4: source.start is \"latest\"; give \"earliest\", a time such as",
        "f.toml:5: kafka.bootstrap_servers is missing; add `bootstrap_servers = \"host:9092\"` under",
        "f.toml:6: there is no setting `kafka.bootstrap_server`; did you mean `bootstrap_servers`?",
        "f.toml:7: there is no section or key `databse`; did you mean `database`?",
        "f.toml:11: format.table is \"sensor\"; give a table with its schema",
        "f.toml:13: batch.max_rows is 0; give a whole number from 1 to 10000000",
        "f.toml:14: batch.max_bytes is \"16\"; give a size with its unit",
        "f.toml:16: dead_letters.retention is \"0s\"; give a time span with its unit",
        "f.toml:18: http.listen is \"nowhere\"; give an address and port",
        "f.toml:20: shutdown.drain_timeout is 10; give a time span with its unit",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn reads_where_batches_are_told_of() {
    let butler = GOOD.replace("kind = \"flat\"\ntable = \"public.sensor\"", "kind = \"butler\"");
    assert!(read(&butler, &[]).unwrap().outbox.is_none());
    let with = |settings: &str| butler.replace("[log]", &format!("[outbox]\n{settings}\n[log]"));
    let outbox = |settings: &str| read(&with(settings), &[]).unwrap().outbox.unwrap();
    let inline = outbox("topic = \"told\"");
    assert_eq!((inline.origin.as_str(), inline.files), ("prompt_processing", None));
    assert_eq!(inline.max_message_bytes, ByteSize::kib(512));
    let filed = outbox(
        "topic = \"told\"\ndirectory = \"/batches\"\nfile_prefix = \"s3://b/\"\n\
         replicas = [\"host=r user=u\", \"host=r user=v\"]",
    );
    let files = filed.files.unwrap();
    assert_eq!(
        (files.directory.as_path(), files.prefix.as_str()),
        (Path::new("/batches"), "s3://b/")
    );
    let replicas: Vec<bool> = filed.replicas.iter().map(Dsn::has_password).collect();
    assert_eq!(replicas, [true, false]);

    for (settings, expected) in [
        ("topic = \"a\"", "outbox.topic is one of source.topics"),
        ("origin = \"o\"", "outbox.topic is missing"),
        ("topic = \"told\"\nfile_prefix = \"x\"", "without outbox.directory"),
        ("topic = \"told\"\nmax_message_bytes = \"1 KiB\"", "from 64.0 KiB to 64.0 MiB"),
        ("topic = \"told\"\nreplicas = [\"user=u\"]", "outbox.replicas[0] names no host"),
    ] {
        let found = problems(&with(settings), &[]);
        assert_eq!(found.len(), 1, "{settings}: {found:#?}");
        assert!(found[0].contains(expected), "{settings}: {found:#?}");
    }
    let found = problems(&GOOD.replace("[log]", "[outbox]\ntopic = \"told\"\n[log]"), &[]);
    assert!(found[0].contains("this format has nothing to say"), "{found:#?}");
}

#[test]
fn reads_where_to_start() {
    let with = |start: &str| GOOD.replace("2026-01-31T12:00:00Z", start);
    let start = |text: &str| read(&with(text), &[]).unwrap().source.start;
    assert_eq!(start("earliest"), Start::Earliest);
    assert_eq!(start("group:old consumer"), Start::Group("old consumer".to_owned()));
    for text in ["latest", "group:", "group", "2026-01-31"] {
        assert!(problems(&with(text), &[])[0].contains("source.start is"), "{text}");
    }
}

#[test]
fn reads_where_debezium_s_tables_go() {
    let with = |settings: &str| {
        let table = "kind = \"flat\"\ntable = \"public.sensor\"";
        GOOD.replace(table, &format!("kind = \"debezium\"\n{settings}"))
    };
    let FormatConfig::Debezium(format) = read(&with(""), &[]).unwrap().format else { panic!() };
    assert_eq!((format.table, format.tables.len()), (None, 0));
    assert_eq!(format.unavailable_value, "__debezium_unavailable_value");
    let rules = "tables = [\"a.b -> c.d\", \"a.*->e.*\"]\nunavailable_value = \"?\"";
    let FormatConfig::Debezium(format) = read(&with(rules), &[]).unwrap().format else { panic!() };
    assert_eq!((format.tables.len(), format.unavailable_value.as_str()), (2, "?"));

    for rule in
        ["a.b", "a -> b", "a.* -> b.c", "a.b -> c.*", "*.* -> a.*", "a.b* -> a.c", ".b -> a.b"]
    {
        let found = problems(&with(&format!("tables = [\"{rule}\"]")), &[]);
        assert_eq!(found.len(), 1, "{rule}: {found:#?}");
        assert!(found[0].contains(&format!("format.tables has \"{rule}\"; write")), "{found:#?}");
    }
    let found = problems(&with("table = \"a.b\"\ntables = [\"a.b -> c.d\"]"), &[]);
    assert!(found[0].contains("both given"), "{found:#?}");
    assert!(problems(&with("table = \"b\""), &[])[0].contains("a table with its schema"));
}

#[test]
fn batches_must_fit_the_budget() {
    let small = GOOD.replace("4 MiB", "32 MiB");
    let expected = "f.toml:14: batch.max_bytes is 32.0 MiB, but a memory.budget of 64.0 MiB has \
                    room for 7.3 MiB; lower it, or raise memory.budget to \"212.0 MiB\"";
    assert_eq!(problems(&small, &[]), [expected]);
    let config = read(&small, &[("FOREBAY_MEMORY_BUDGET", "212 MiB")]).unwrap();
    assert_eq!(config.batch.max_bytes, ByteSize::mib(32));
    let workers = [("FOREBAY_WORKERS_COUNT", "4"), ("FOREBAY_MEMORY_BUDGET", "64 MiB")];
    let found = problems(GOOD, &workers);
    assert!(found.iter().any(|problem| problem.contains("from 84.0 MiB")), "{found:?}");
}

#[test]
fn says_syntax_errors_and_the_rest() {
    let found = problems("[source]\nname = \"a\ntopics = [\"t\"]\n", &[]);
    assert!(found.iter().any(|problem| problem.starts_with("f.toml:2: not TOML")), "{found:#?}");
}

#[test]
fn variables_win_and_are_named_in_problems() {
    let config = read(
        GOOD,
        &[
            ("FOREBAY_SOURCE_TOPICS", "x, y"),
            ("FOREBAY_BATCH_MAX_ROWS", "7"),
            ("FOREBAY_DATABASE_DSN", "host=other user=u"),
            ("FOREBAY_SERVICE_HOST", "10.0.0.1"),
            ("FOREBAY_DATABASE_SERVICE_HOST", "10.0.0.1"),
            ("FOREBAY_FAILPOINT", "stage.in_copy"),
        ],
    )
    .unwrap();
    assert_eq!(config.source.topics, ["x", "y"]);
    assert_eq!(config.batch.max_rows, 7);
    assert_eq!(config.database.dsn.to_string(), "other:5432/u");
    let found = problems(
        GOOD,
        &[("FOREBAY_BATCH_MAX_ROWS", "many"), ("FOREBAY_DATABASE_DNS", "host=a password=hunter2")],
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("variable FOREBAY_BATCH_MAX_ROWS: batch.max_rows is \"many\""));
    assert!(found[1].contains("FOREBAY_DATABASE_DNS: there is no such setting; did you mean"));
    assert!(!found[1].contains("hunter2"));
}

#[test]
fn reads_the_dsn_from_a_file() {
    let directory = std::env::temp_dir().join(format!("forebay-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("dsn"), "host=secret user=u\n").unwrap();
    let text =
        GOOD.replace("dsn = \"host=h dbname=d user=u password=hunter2\"", "dsn_file = \"dsn\"");
    let config = Config::read(&directory.join("f.toml"), &text, &Variables::new()).unwrap();
    assert_eq!(config.database.dsn.to_string(), "secret:5432/u");
    std::fs::remove_dir_all(&directory).unwrap();
    let found = Config::read(&directory.join("f.toml"), &text, &Variables::new()).unwrap_err();
    assert!(found[0].message.starts_with("database.dsn_file names"), "{found:?}");
}

#[test]
fn reads_the_security_of_kafka() {
    let plain = read(GOOD, &[]).unwrap().kafka.security;
    assert_eq!(plain, KafkaSecurity { tls: None, login: None });
    let text = GOOD.replace(
        "bootstrap_servers",
        "security_protocol = \"SASL_SSL\"\nusername = \"u\"\nsasl_mechanism = \"scram-sha-256\"\n\
         bootstrap_servers",
    );
    let config = read(&text, &[("FOREBAY_KAFKA_PASSWORD", "hunter2\n")]).unwrap();
    let login = config.kafka.security.login.as_ref().unwrap();
    assert_eq!(login.mechanism, SaslMechanism::ScramSha256);
    assert_eq!(login.password.reveal(), "hunter2");
    assert_eq!(config.kafka.security.tls.as_ref().unwrap().authorities, Authorities::System);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn says_what_is_wrong_with_the_security_of_kafka() {
    let found = problems(
        r#"[source]
name = "a"
topics = ["a"]
[kafka]
bootstrap_servers = "a:1"
security_protocol = "sasl_ssl"
password = 12345
password_file = ""
key_file = "key.pem"
[database]
dsn = "host=a"
[format]
kind = "rows"
"#,
        &[],
    );
    let expected = [
        "f.toml:4: kafka.username is missing; add `username = \"…\"` under [kafka]",
        "f.toml:8: kafka.password and kafka.password_file are both given; remove one of them",
        "f.toml:9: kafka.key_file is given without kafka.certificate_file; name the files of both",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    let found = problems(&GOOD.replace("[database]", "password = 12345\n[database]"), &[]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|problem| !problem.contains("12345")), "{found:#?}");
}

#[test]
fn shares_the_password_of_the_database_with_those_of_the_same_user() {
    let text = GOOD
        .replace(" password=hunter2\"", "\"\npassword = \"hunter2\"")
        .replace("[format]", "replicas = [\"host=a user=u\", \"host=b user=v\"]\n[format]");
    let config = read(&text, &[]).unwrap();
    assert!(config.database.dsn.has_password());
    let replicas: Vec<bool> = config.database.replicas.iter().map(Dsn::has_password).collect();
    assert_eq!(replicas, [true, false]);
    assert!(!format!("{config:?}").contains("hunter2"));
    let found = problems(GOOD, &[("FOREBAY_DATABASE_PASSWORD", "hunter3")]);
    assert!(found[0].contains("the connection string has a password"), "{found:?}");
    assert!(!found[0].contains("hunter"), "{found:?}");
}
