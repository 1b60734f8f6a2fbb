//! Plans that the session keeps fit what the tables are when they are used.

use anyhow::Result;

use crate::batch::{Rows, rejected};
use crate::session::Meeting;

/// How often the tables were read whole.
async fn scans(meeting: &Meeting) -> Result<i64> {
    meeting.flush_statistics().await?;
    let sql =
        "select sum(seq_scan)::int8 from pg_stat_user_tables where relname in ('t', 'parent')";
    Ok(meeting.client().query_one(sql, &[]).await?.get(0))
}

/// Rows of a table with a trigger are applied one by one.
const TRIGGER: &str = "create function nothing() returns trigger language plpgsql
                           as $$ begin return new; end $$;
                       create trigger nothing before insert on t for each row execute function nothing();";

/// As a set, and row by row.
#[tokio::test]
async fn a_table_that_has_grown_is_not_read_whole() -> Result<()> {
    let query = "select n, 0, 'u'::\"char\", null::int2[], n, 1, (random() * 1e6)::int4
                 from generate_series(1, 200) n";
    let batch = [Rows { table: "t", query }];
    for (trigger, path) in [("", "set"), (TRIGGER, "walk")] {
        let meeting = Meeting::create(&format!(
            "create table parent (id int4 primary key, note text);
             create table t (id int4 primary key, parent int4 references parent, v int4);
             insert into parent values (1, 'one'), (2, 'two');
             insert into t values (1, 1, 1);
             {trigger}
             analyze parent, t;
             select forebay.add_target('t')",
        ))
        .await?;
        for _ in 0..2 {
            let answer = meeting.merge(&batch).await?;
            assert_eq!(rejected(&answer)?, [], "{answer}");
        }
        let grow = "insert into parent select n from generate_series(3, 50000) n;
                    insert into t select n, 1, 0 from generate_series(1000, 50000) n";
        meeting.foreground(grow).await?;
        let before = scans(&meeting).await?;
        let answer = meeting.merge(&batch).await?;
        assert_eq!(rejected(&answer)?, [], "{answer}");
        assert_eq!(answer["path"], path, "{answer}");
        assert_eq!(scans(&meeting).await?, before, "{path}: {answer}");
    }
    Ok(())
}
