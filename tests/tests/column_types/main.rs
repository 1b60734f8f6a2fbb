//! Every column type, through both COPY paths, against what a plain `insert` of the same literal
//! gives.
#![forbid(unsafe_code)]

mod altered;
mod comparison;
mod isolation;
mod kind;
mod mutation;
mod networks;
mod numbers;
mod parsed_by_server;
mod ranges;
mod several;
mod text_copy;
mod texts;
mod times;
mod users;

use anyhow::Result;

use comparison::Comparison;
use kind::Kind;

/// The types of which the writer encodes the values.
fn encoded() -> Vec<Kind> {
    let families = [
        numbers::kinds(),
        texts::kinds(),
        times::kinds(),
        networks::kinds(),
        ranges::kinds(),
        several::kinds(),
    ];
    families.into_iter().flatten().collect()
}

#[tokio::test]
async fn what_the_writer_encodes_is_what_insert_gives() -> Result<()> {
    let comparison = Comparison::run("types_binary", "", "", encoded()).await?;
    comparison.check_equal().await?;
    comparison.check_nothing_was_isolated()
}

#[tokio::test]
async fn what_is_copied_as_text_is_what_insert_gives() -> Result<()> {
    // One column without encoder, and the whole target is copied as text.
    let comparison = Comparison::run("types_text", "", ", at point", encoded()).await?;
    comparison.check_equal().await?;
    comparison.check_nothing_was_isolated()
}

#[tokio::test]
async fn what_the_server_parses_is_what_insert_gives() -> Result<()> {
    let kinds = parsed_by_server::kinds();
    Comparison::run("types_parsed", "", "", kinds).await?.check_equal().await
}

#[tokio::test]
async fn users_types_are_what_insert_gives() -> Result<()> {
    for (prefix, extra) in [("types_users", ""), ("types_users_text", ", at point")] {
        let comparison = Comparison::run(prefix, users::SCHEMA, extra, users::kinds()).await?;
        comparison.check_equal().await?;
        comparison.check_nothing_was_isolated()?;
    }
    Ok(())
}
