//! What no list has is the world's fault, until it has happened so often that one event must be
//! looked for: it is that event's if the others succeed without it.

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::scene::{ABORTS, CULPRIT, Scene};

const UNLISTED: &[&str] =
    &["0A000", "21000", "42703", "42883", "54001", "55000", "P0002", "P0004", "XX000", "ZZ999"];

fn name(sqlstate: &str) -> String {
    format!("t{}", sqlstate.to_lowercase())
}

#[tokio::test]
async fn an_event_that_alone_fails_again_and_again_is_dead() -> Result<()> {
    let scene = Scene::create("alone").await?;
    let cases = UNLISTED.iter().map(|sqlstate| async {
        let mut case = scene.raise(&name(sqlstate), sqlstate, Some(CULPRIT)).await?;
        case.wait_for_aborts(sqlstate, ABORTS - 1).await?;
        case.check_dead(sqlstate).await?;
        case.writer.stop().await
    });
    try_join_all(cases).await.map(drop)
}

#[tokio::test]
async fn what_fails_for_every_event_is_waited_for() -> Result<()> {
    let scene = Scene::create("every").await?;
    let cases = UNLISTED.iter().map(|sqlstate| async {
        let mut case = scene.raise(&name(sqlstate), sqlstate, None).await?;
        case.wait_for_aborts(sqlstate, ABORTS + 1).await?;
        case.check_held_up().await?;
        case.heal().await?;
        case.check_whole().await?;
        case.writer.stop().await
    });
    try_join_all(cases).await.map(drop)
}
