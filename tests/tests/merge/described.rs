//! What a session knows of targets is what is registered now, whichever of them a batch has.

use anyhow::Result;

use crate::batch::Rows;
use crate::session::Meeting;

/// How a batch of a parent and its child is merged.
async fn path(meeting: &Meeting, id: i32) -> Result<String> {
    let parent = format!("values (0, 0, 'u'::\"char\", null::int2[], {id}, 'c{id}')");
    let child = format!("values (0, 1, 'u'::\"char\", null::int2[], {id}, {id})");
    let answer = meeting
        .merge(&[Rows { table: "parent", query: &parent }, Rows { table: "child", query: &child }])
        .await?;
    assert_eq!(answer["rejected"].as_array().map(Vec::len), Some(0), "{answer}");
    Ok(answer["path"].as_str().unwrap_or_default().to_owned())
}

/// A foreign key to a target's key is looked at as a set. Whether it is one depends on how the parent is
/// registered, also where only the child was known before.
#[tokio::test]
async fn a_parents_registration_counts_as_it_is_now() -> Result<()> {
    let meeting = Meeting::create(
        "create table parent (id int4 primary key, code text not null unique);
         create table child (id int4 primary key, parent int4 references parent);
         insert into parent values (0, 'c0');
         select forebay.add_target('child')",
    )
    .await?;
    let child = "values (0, 0, 'u'::\"char\", null::int2[], 0, 0)";
    meeting.merge(&[Rows { table: "child", query: child }]).await?;
    let register = |key: &str| {
        format!(
            "select forebay.drop_target(relation) from forebay.target
             where relation = 'parent'::regclass;
             select forebay.add_target('parent', key => '{{{key}}}')"
        )
    };
    for (id, key, expected) in [(1, "id", "set"), (2, "code", "walk"), (3, "id", "set")] {
        meeting.client().batch_execute(&register(key)).await?;
        assert_eq!(path(&meeting, id).await?, expected, "by {key}");
    }
    assert_eq!(meeting.rows("child").await?, "(0,0) (1,1) (2,2) (3,3)");
    Ok(())
}
