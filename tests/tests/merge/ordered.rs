//! Rows that are said to stand in the order of their keys are written as they stand, others in that order.

use anyhow::Result;
use forebay_tests::{Database, Stack};

use crate::batch::{Rows, Source, rejected};

const QUERY: &str = "select n, 0, 'u'::\"char\", null::int2[], id, v
                     from (values (0, 3, 1), (1, 1, 1), (2, 2, 1)) r(n, id, v)";

#[tokio::test]
async fn ordered_rows_are_not_sorted() -> Result<()> {
    let stored = "insert into t values (1, 0), (2, 0), (3, 0)";
    let cases = [("update", ""), ("update", stored), ("identical", ""), ("ignore", "")];
    for (policy, before) in cases {
        for (is_ordered, expected) in [(false, [1, 2, 3]), (true, [3, 1, 2])] {
            let database = Database::create(&Stack::from_env()?, "ordered").await?;
            let client = database.primary();
            let schema = format!(
                "set forebay.walk_below = 0;
                 create table t (id int4 primary key, v int4);
                 select forebay.add_target('t', on_conflict => '{policy}');
                 {before}"
            );
            client.batch_execute("load 'forebay'").await?;
            client.batch_execute(&schema).await?;
            let mut source = Source::claim(client).await?;
            source.say_ordered(is_ordered);
            let answer = source.merge(&[Rows { table: "t", query: QUERY }]).await?;
            assert_eq!(rejected(&answer)?, [], "{answer}");
            assert_eq!(answer["path"], "set", "{answer}");
            let sql = "select array_agg(id order by ctid) from t where v = 1";
            let written: Vec<i32> = client.query_one(sql, &[]).await?.get(0);
            assert_eq!(written, expected, "{policy}, {before:?}, {is_ordered}: {answer}");
        }
    }
    Ok(())
}
