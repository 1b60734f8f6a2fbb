//! Events change chained collections, as the official client would (BUTLER.md, C).

use anyhow::Result;
use forebay_tests::{Message, Stack, Writer, butler_sample};
use serde_json::{Value, json};

use crate::repository::{Repository, SOURCE, broken_event};

/// Two chains, one in the other, an empty one, one with the last position taken, and runs.
const COLLECTIONS: &str = "
    insert into collection (collection_id, name, type)
    select nextval('collection_seq_collection_id'), name, type
    from (values ('runA', 1), ('runB', 1), ('runC', 1), ('chain', 3), ('chain2', 3), ('empty', 3), ('full', 3)) c(name, type);
    insert into run (collection_id) select collection_id from collection where name like 'run_';
    insert into collection_chain (parent, position, child)
    select p.collection_id, l.position, c.collection_id
    from (values ('chain', 0, 'runA'), ('chain', 1, 'runB'), ('chain2', 0, 'chain'), ('full', 32767, 'runA')) l(parent, position, child)
    join collection p on p.name = l.parent join collection c on c.name = l.child;";

const MEMBERS: &str = "
    select coalesce(string_agg(format('%s %s %s', p.name, l.position, c.name), ', ' order by p.name, l.position), '')
    from collection_chain l
    join collection p on p.collection_id = l.parent join collection c on c.collection_id = l.child
    where p.name in ('chain', 'chain2', 'empty', 'full')";

fn event(chains: Value) -> Vec<u8> {
    let event =
        json!({"type": "pp-output", "dimension_records": [], "datasets": [], "chains": chains});
    event.to_string().into_bytes()
}

fn one(operation: &str, parent: &str, children: Value) -> Vec<u8> {
    event(json!([{"op": operation, "parent": parent, "children": children}]))
}

/// Sends events, in one batch, or each in a batch of its own; answers the members of the chains and
/// the SQLSTATE of each event that was rejected.
async fn apply(events: &[Vec<u8>], at_once: bool) -> Result<(String, Vec<(usize, String)>)> {
    let stack = Stack::from_env()?;
    let repository = Repository::create(&stack, "chains", 1).await?;
    repository.database().primary().batch_execute(COLLECTIONS).await?;
    let config = repository.config().set("rejections.max_share", 1.0);
    let config = if at_once { config } else { config.set("batch.max_rows", 1) };
    let (bootstrap, _) = repository.events();
    let mut writer = Writer::start(&stack, config.clone())?;
    repository.send(&[bootstrap]).await?;
    writer.stop().await?;
    let messages =
        events.iter().map(|event| Message { payload: Some(event), ..Message::default() });
    let sent = repository.produce(&messages.collect::<Vec<_>>()).await?;
    let mut writer = Writer::start(&stack, config)?;
    repository.wait_until_merged(&sent).await?;
    writer.stop().await?;
    let dead = repository.database().dead_letters(SOURCE).await?;
    let places = sent.iter().enumerate().filter_map(|(number, sent)| {
        let letter = dead.iter().find(|letter| letter.event == *sent)?;
        Some((number, letter.sqlstate.clone()))
    });
    let places = places.collect();
    let members = repository.database().primary().query_one(MEMBERS, &[]).await?.get(0);
    Ok((members, places))
}

async fn expect(events: &[Vec<u8>], members: &str, rejected: &[(usize, &str)]) -> Result<()> {
    for at_once in [true, false] {
        let (found, dead) = apply(events, at_once).await?;
        let dead: Vec<_> = dead.iter().map(|(number, state)| (*number, state.as_str())).collect();
        assert_eq!((found.as_str(), dead.as_slice()), (members, rejected), "at once: {at_once}");
    }
    Ok(())
}

#[tokio::test]
async fn positions_are_those_of_the_official_client() -> Result<()> {
    let events = [
        one("prepend", "empty", json!("runA")),
        one("prepend", "empty", json!(["runB"])),
        one("extend", "chain", json!(["runC"])),
        one("prepend", "chain", json!(["runC", "runB"])),
        one("remove", "chain", json!(["runA", "chain2"])),
        one("extend", "chain", json!(["runA", "runA"])),
        one("prepend", "empty", json!([])),
        event(json!([
            {"op": "remove", "parent": "chain", "children": "runC"},
            {"op": "extend", "parent": "chain", "children": ["empty", "runC"]},
        ])),
    ];
    let members = "chain -1 runB, chain 0 runA, chain 1 empty, chain 2 runC, chain2 0 chain, \
                   empty -2 runB, empty -1 runA, full 32767 runA";
    expect(&events, members, &[]).await
}

#[tokio::test]
async fn what_cannot_be_is_rejected_alone() -> Result<()> {
    let events = [
        one("prepend", "chain", json!("chain2")),
        one("extend", "empty", json!("empty")),
        one("extend", "nowhere", json!("runA")),
        one("extend", "chain", json!("nothing")),
        one("remove", "chain", json!("nothing")),
        one("extend", "runA", json!("runB")),
        one("replace", "chain", json!("runA")),
        event(json!([
            {"op": "extend", "parent": "empty", "children": "runA"},
            {"op": "extend", "parent": "empty", "children": "nothing"},
        ])),
        one("extend", "empty", json!("chain")),
        // A chain within the chain since the last event.
        one("prepend", "chain", json!("empty")),
        one("extend", "full", json!("runB")),
    ];
    let members = "chain 0 runA, chain 1 runB, chain2 0 chain, empty 1 chain, full 32767 runA";
    let rejected = [
        (0, "23514"),
        (1, "23514"),
        (2, "23503"),
        (3, "23503"),
        (4, "23503"),
        (5, "23514"),
        (6, "22P02"),
        (7, "23503"),
        (9, "23514"),
        (10, "22003"),
    ];
    expect(&events, members, &rejected).await
}

/// What an event asks of chains goes with the event, and with the run that another one would have made.
#[tokio::test]
async fn a_rejected_event_changes_no_chain() -> Result<()> {
    let sample = butler_sample::events()?;
    let unknown_detector = broken_event(&sample[1], 1, |dataset| {
        dataset.uuid = "00000000-0000-4000-8000-000000000001".into();
        dataset.data_id().insert("detector".into(), 9999.into());
        dataset.reference["run"] = "new/run".into();
    })?;
    let mut asks: Value = serde_json::from_slice(&unknown_detector)?;
    asks["chains"] = json!([{"op": "extend", "parent": "empty", "children": "runA"}]);
    let events = [
        serde_json::to_vec(&asks)?,
        // Whether this can be is known when the first event is merged, or not.
        one("extend", "empty", json!("new/run")),
        one("extend", "empty", json!("runB")),
        one("prepend", "empty", json!("runC")),
    ];
    let members =
        "chain 0 runA, chain 1 runB, chain2 0 chain, empty 0 runC, empty 1 runB, full 32767 runA";
    expect(&events, members, &[(0, "23503"), (1, "23503")]).await
}
