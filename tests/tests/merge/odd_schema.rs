//! Schemas that the reference model's random ones are not like.

use anyhow::Result;
use serde_json::Value as Json;

use crate::batch::{Rows, rejected, sqlstate};
use crate::session::Meeting;

/// The events that are rejected, in order.
async fn rejected_of(meeting: &Meeting, batch: &[Rows<'_>]) -> Result<Vec<(i64, String)>> {
    let answer: Json = meeting.merge(batch).await?;
    rejected(&answer)
}

fn events(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(event, sqlstate)| (*event, (*sqlstate).to_owned())).collect()
}

/// A check over a column that no event names, and whose default is no constant.
#[tokio::test]
async fn a_default_that_is_no_constant_satisfies_checks() -> Result<()> {
    let meeting = Meeting::create(
        "create function three() returns int4 language sql immutable as 'select 3';
         create table t (id int4 primary key, v int4, n int8 default 7, m int4 default three(),
            check (n is not null), check (coalesce(m, 0) > 0), check (v > 0));
         select forebay.add_target('t')",
    )
    .await?;
    let batch = [Rows {
        table: "t",
        query: "values (0, 0, 'u'::\"char\", '{1,2}'::int2[], 1, 1, null::int8, null::int4),
                       (1, 0, 'u', '{1,2}', 2, -1, null, null),
                       (2, 0, 'u', '{1,2,3}', 3, 1, null, null),
                       (3, 0, 'u', '{1,3}', 4, null, 1, null)",
    }];
    assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(1, "23514"), (2, "23514")]));
    assert_eq!(meeting.rows("t").await?, "(1,1,7,3) (4,,1,3)");
    Ok(())
}

/// So for a reference of which all columns or none are given.
#[tokio::test]
async fn a_default_that_is_no_constant_completes_a_reference() -> Result<()> {
    let meeting = Meeting::create(
        "create table parent (a int4, b int8, primary key (a, b));
         create table child (id int4 primary key, a int4, b int8 default 7, foreign key (a, b)
            references parent match full);
         insert into parent values (1, 7);
         select forebay.add_target('parent'), forebay.add_target('child')",
    )
    .await?;
    let batch = [
        Rows {
            table: "parent",
            query: "values (0, 0, 'u'::\"char\", null::int2[], 2, 7), (5, 0, 'u', null, 3, 7)",
        },
        Rows {
            table: "child",
            query: "values (1, 0, 'u'::\"char\", '{1,2}'::int2[], 1, 1, null::int8),
                           (2, 0, 'u', '{1,2}', 2, 2, null), (3, 0, 'u', '{1,2}', 3, 3, null),
                           (4, 0, 'u', '{1,2,3}', 4, 1, null)",
        },
    ];
    assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(3, "23503"), (4, "23503")]));
    assert_eq!(meeting.rows("child").await?, "(1,1,7) (2,2,7)");
    Ok(())
}

#[tokio::test]
async fn the_default_of_a_domain_is_a_default() -> Result<()> {
    let meeting = Meeting::create(
        "create domain state as text default 'new';
         create table t (id int4 primary key, v int4, state state not null check (state <> ''));
         select forebay.add_target('t')",
    )
    .await?;
    let batch = [Rows {
        table: "t",
        query: "values (0, 0, 'u'::\"char\", '{1,2}'::int2[], 1, 1, null::text)",
    }];
    assert_eq!(rejected_of(&meeting, &batch).await?, []);
    assert_eq!(meeting.rows("t").await?, "(1,1,new)");
    Ok(())
}

#[tokio::test]
async fn more_columns_than_a_function_has_arguments_are_compared() -> Result<()> {
    let meeting = Meeting::create(
        "do $$ begin
            execute (select format('create table t (id int4 primary key, %s)',
                                   string_agg(format('c%s int4', n), ', '))
                     from generate_series(1, 120) n);
         end $$;
         insert into t (id, c1) values (1, 1), (2, 1);
         select forebay.add_target('t', on_conflict => 'identical')",
    )
    .await?;
    let values = format!(
        "select e, 0, 'u'::\"char\", null::int2[], e, e {} from generate_series(1, 3) e",
        ", null::int4".repeat(119)
    );
    let batch = [Rows { table: "t", query: &values }];
    for walk_below in ["0", "64"] {
        meeting.set("forebay.walk_below", walk_below).await?;
        assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(2, "23505")]), "{walk_below}");
    }
    Ok(())
}

/// A column that is always generated as identity can't be updated, and keeps its value.
#[tokio::test]
async fn an_identity_column_is_set_once() -> Result<()> {
    let meeting = Meeting::create(
        "create table t (id int4 primary key, n int4 generated always as identity, v int4);
         select forebay.add_target('t')",
    )
    .await?;
    let batch = [Rows {
        table: "t",
        query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 50, 1), (1, 0, 'u', null, 2, 60, 1)",
    }];
    let again = [Rows {
        table: "t",
        query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 50, 2), (1, 0, 'u', null, 2, 61, 1),
                       (2, 0, 'u', '{1,3}', 2, null, 3)",
    }];
    for walk_below in ["0", "64"] {
        meeting.set("forebay.walk_below", walk_below).await?;
        meeting.client().batch_execute("truncate t").await?;
        assert_eq!(rejected_of(&meeting, &batch).await?, []);
        assert_eq!(rejected_of(&meeting, &again).await?, []);
        assert_eq!(meeting.rows("t").await?, "(1,50,2) (2,60,3)", "{walk_below}");
    }
    Ok(())
}

/// What differs is one thing, what its blanks are another.
#[tokio::test]
async fn a_key_keeps_the_blanks_that_it_was_stored_with() -> Result<()> {
    let meeting = Meeting::create(
        "create table t (id bpchar primary key, v int4); select forebay.add_target('t')",
    )
    .await?;
    let batch = [Rows {
        table: "t",
        query: "values (0, 0, 'u'::\"char\", null::int2[], 'a'::bpchar, 1), (1, 0, 'u', null, 'a ', 2)",
    }];
    assert_eq!(rejected_of(&meeting, &batch).await?, []);
    assert_eq!(meeting.rows("t").await?, "(a,2)");
    Ok(())
}

/// The parent's collation says what is equal, and has the index.
#[tokio::test]
async fn references_are_looked_up_in_the_collation_of_their_parents() -> Result<()> {
    let meeting = Meeting::create(
        "create table parent (name text collate \"C\" primary key);
         create table child (id int4 primary key, name text collate \"POSIX\" references parent);
         insert into parent values ('stored');
         select forebay.add_target('parent'), forebay.add_target('child')",
    )
    .await?;
    let batch = [
        Rows { table: "parent", query: "values (0, 0, 'u'::\"char\", null::int2[], 'given')" },
        Rows {
            table: "child",
            query: "values (1, 0, 'u'::\"char\", null::int2[], 1, 'given'), (2, 0, 'u', null, 2, 'stored'),
                           (3, 0, 'u', null, 3, 'missing')",
        },
    ];
    assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(3, "23503")]));
    assert_eq!(meeting.rows("child").await?, "(1,given) (2,stored)");
    Ok(())
}

/// An index may mean less by equal than its column's collation does.
#[tokio::test]
async fn a_unique_index_in_another_collation_is_not_guessed_at() -> Result<()> {
    let meeting = Meeting::create(
        "create collation folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table t (id int4 primary key, name text collate folding, serial int4 unique);
         create unique index on t (name collate \"C\");
         insert into t values (1, 'A', 1);
         select forebay.add_target('t')",
    )
    .await?;
    let batch = [Rows {
        table: "t",
        query: "values (0, 0, 'u'::\"char\", null::int2[], 2, 'a', 2), (1, 0, 'u', null, 3, 'b', 1)",
    }];
    assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(1, "23505")]));
    assert_eq!(meeting.rows("t").await?, "(1,A,1) (2,a,2)");
    Ok(())
}

#[tokio::test]
async fn a_key_is_no_index_in_another_collation() -> Result<()> {
    let meeting = Meeting::create(
        "create table t (name text not null); create unique index on t (name collate \"C\")",
    )
    .await?;
    let add = "select forebay.add_target('t', key => '{name}')";
    let error = meeting.client().batch_execute(add).await.err();
    assert_eq!(error.as_ref().map(sqlstate), Some("FB004"));
    Ok(())
}

/// A foreign key that is not validated: what is stored may refer to nothing, and be updated.
#[tokio::test]
async fn a_reference_that_stays_is_not_checked_again() -> Result<()> {
    let meeting = Meeting::create(
        "create table parent (id int4 primary key);
         create table child (id int4 primary key, parent int4, v int4);
         insert into child values (1, 99, 1);
         alter table child add foreign key (parent) references parent not valid;
         select forebay.add_target('parent'), forebay.add_target('child')",
    )
    .await?;
    let batch = [
        Rows { table: "parent", query: "values (0, 0, 'u'::\"char\", null::int2[], 5)" },
        Rows {
            table: "child",
            query: "values (1, 0, 'u'::\"char\", null::int2[], 1, 99, 2), (2, 0, 'u', null, 2, 99, 2)",
        },
    ];
    assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(2, "23503")]));
    assert_eq!(meeting.rows("child").await?, "(1,99,2)");
    Ok(())
}

/// A row that a later one replaces is not written, and might have raised in an index.
#[tokio::test]
async fn a_replaced_row_is_refused_by_an_index_too() -> Result<()> {
    for index in ["((v::int4))", "(id) where v::int4 > 3"] {
        let meeting = Meeting::create(&format!(
            "create table t (id int4 primary key, v text); create index on t {index};
             create table other (id int4 primary key);
             select forebay.add_target('t'), forebay.add_target('other')"
        ))
        .await?;
        let batch = [
            Rows {
                table: "t",
                query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 'x'), (1, 0, 'u', null, 1, '7')",
            },
            Rows { table: "other", query: "values (0, 1, 'u'::\"char\", null::int2[], 1)" },
        ];
        assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(0, "22P02")]), "{index}");
        assert_eq!(meeting.rows("t").await? + &meeting.rows("other").await?, "(1,7)", "{index}");
    }
    Ok(())
}

/// A partition that is a target has its table's foreign keys.
#[tokio::test]
async fn a_partitions_parents_come_in_time() -> Result<()> {
    let meeting = Meeting::create(
        "create table parent (id int4 primary key);
         create table child (id int4 primary key, parent int4 references parent) partition by range (id);
         create table part partition of child for values from (0) to (100);
         select forebay.add_target('parent'), forebay.add_target('part')",
    )
    .await?;
    let batch = [
        Rows {
            table: "part",
            query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 7), (2, 0, 'u', null, 2, 7)",
        },
        Rows { table: "parent", query: "values (1, 0, 'u'::\"char\", null::int2[], 7)" },
    ];
    assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(0, "23503")]));
    assert_eq!(meeting.rows("part").await?, "(2,7)");
    Ok(())
}

/// A foreign key refers to a table of which a target is a partition.
#[tokio::test]
async fn what_a_partition_is_given_is_there_for_references_to_its_table() -> Result<()> {
    let meeting = Meeting::create(
        "create table parent (id int4 primary key) partition by range (id);
         create table part partition of parent for values from (0) to (100);
         create table child (id int4 primary key, parent int4 references parent, serial int4 unique);
         insert into child values (50, null, 1);
         select forebay.add_target('part'), forebay.add_target('child')",
    )
    .await?;
    let batch = [
        Rows { table: "part", query: "values (1, 0, 'u'::\"char\", null::int2[], 7)" },
        Rows {
            table: "child",
            query:
                "values (0, 0, 'u'::\"char\", null::int2[], 1, 7, 2), (2, 0, 'u', null, 2, 7, 3),
                           (3, 0, 'u', null, 3, null, 1)",
        },
    ];
    let expected = events(&[(0, "23503"), (3, "23505")]);
    assert_eq!(rejected_of(&meeting, &batch).await?, expected);
    assert_eq!(meeting.rows("child").await?, "(2,7,3) (50,,1)");
    Ok(())
}

#[tokio::test]
async fn a_table_and_its_partition_are_written_in_order() -> Result<()> {
    let meeting = Meeting::create(
        "create table whole (id int4 primary key, v int4) partition by range (id);
         create table part partition of whole for values from (0) to (100);
         insert into whole values (1, 0), (2, 0);
         select forebay.add_target('whole'), forebay.add_target('part')",
    )
    .await?;
    let batch = [
        Rows {
            table: "whole",
            query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 1), (3, 0, 'u', null, 2, 4)",
        },
        Rows {
            table: "part",
            query: "values (1, 0, 'u'::\"char\", null::int2[], 1, 2), (2, 0, 'u', null, 2, 3)",
        },
    ];
    assert_eq!(rejected_of(&meeting, &batch).await?, []);
    assert_eq!(meeting.rows("whole").await?, "(1,2) (2,4)");
    Ok(())
}

/// Rows of several owners' tables in one event: a child may stand before its parent.
#[tokio::test]
async fn an_events_rows_of_several_owners_stand_in_any_order() -> Result<()> {
    let meeting = Meeting::create(
        "do $$ begin
            execute format('create role %I', current_database() || '_owner');
            create table parent (id int4 primary key);
            create table child (id int4 primary key, parent int4 references parent);
            execute format('alter table child owner to %I', current_database() || '_owner');
         end $$;
         select forebay.add_target('parent'), forebay.add_target('child')",
    )
    .await?;
    let batch = [
        Rows {
            table: "child",
            query: "values (0, 0, 'u'::\"char\", null::int2[], 1, 7), (1, 0, 'u', null, 2, 8)",
        },
        Rows { table: "parent", query: "values (0, 1, 'u'::\"char\", null::int2[], 7)" },
    ];
    assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(1, "23503")]));
    assert_eq!(meeting.rows("child").await?, "(1,7)");
    Ok(())
}

/// Rows that refer to each other in a chain are looked at a few times, not once for each.
#[tokio::test]
async fn a_long_chain_is_rejected_as_a_set() -> Result<()> {
    let meeting = Meeting::create(
        "create table node (id int4 primary key, up int4 references node, v int4 check (v > 0));
         select forebay.add_target('node')",
    )
    .await?;
    let batch = [Rows {
        table: "node",
        query: "select e, 0, 'u'::\"char\", null::int2[], e, nullif(e - 1, -1), e % 400
                from generate_series(0, 999) e",
    }];
    let answer = meeting.merge(&batch).await?;
    let rejections = rejected(&answer)?;
    assert_eq!(rejections.len(), 1000, "{answer}");
    let (checks, orphans): (Vec<_>, Vec<_>) =
        rejections.into_iter().partition(|(_, sqlstate)| sqlstate == "23514");
    assert_eq!(checks, events(&[(0, "23514"), (400, "23514"), (800, "23514")]));
    assert!(orphans.iter().all(|(_, sqlstate)| sqlstate == "23503"), "{orphans:?}");
    assert_eq!((&answer["path"], &answer["runs"]), (&"set".into(), &1.into()), "{answer}");
    Ok(())
}

/// Though the delete meets no row: a small table is read whole, and its numbers are compared first.
#[tokio::test]
async fn a_delete_whose_key_is_no_value_of_its_type_is_rejected() -> Result<()> {
    let meeting = Meeting::create(
        "create type mood as enum ('calm');
         create table t (id int4, mood mood, primary key (id, mood));
         insert into t values (1, 'calm');
         analyze t;
         select forebay.add_target('t')",
    )
    .await?;
    let batch = [Rows {
        table: "t",
        query: "values (0, 0, 'd'::\"char\", null::int2[], 6, 'angry'),
                       (1, 0, 'd', null, 6, 'calm'), (2, 0, 'd', null, 1, 'angry')",
    }];
    assert_eq!(rejected_of(&meeting, &batch).await?, events(&[(0, "22P02"), (2, "22P02")]));
    Ok(())
}
