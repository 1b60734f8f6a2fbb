//! Named points at which a test can stop the process, to kill it there. Behind the feature
//! `failpoints`; without it [`hit`] is nothing at all.
//!
//! `FOREBAY_FAILPOINT=<name>[:<nth hit>]` arms one. There the process says
//! `failpoint hit: <name>` on stderr, and goes no further.

/// Before partitions are claimed.
pub const CONSUME_BEFORE_CLAIM: &str = "consume.before_claim";
/// Some rows of a COPY are sent, not all.
pub const STAGE_IN_COPY: &str = "stage.in_copy";
/// All rows are staged; the merge is not called yet.
pub const STAGE_BEFORE_MERGE: &str = "stage.before_merge";
/// The merge has answered; COMMIT is not sent yet.
pub const MERGE_BEFORE_COMMIT: &str = "merge.before_commit";
/// The transaction is committed, and nothing of the writer knows: the reply was lost.
pub const MERGE_AFTER_COMMIT: &str = "merge.after_commit";
/// The commit is known; nothing was told to the broker.
pub const ACKNOWLEDGE_BEFORE: &str = "acknowledge.before";
/// Rows of the outbox are taken, and not published.
pub const OUTBOX_BEFORE_PUBLISH: &str = "outbox.before_publish";
/// The broker has acknowledged them; the database does not know.
pub const OUTBOX_BEFORE_ACK: &str = "outbox.before_ack";
/// A file's copy is whole, and has not its name yet.
pub const FILES_IN_COPY: &str = "files.in_copy";
/// All files of a batch are in their final places; nothing of it is staged in the database.
pub const FILES_BEFORE_STAGE: &str = "files.before_stage";
/// The removals of staged files are committed; none is done.
pub const FILES_BEFORE_REMOVAL: &str = "files.before_removal";
/// Staged files are removed; the database does not know.
pub const FILES_BEFORE_ACK: &str = "files.before_ack";

/// Parks this task for ever if `name` is armed and this is the hit that was asked for.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub async fn hit(_name: &'static str) {}

/// Parks this task for ever if `name` is armed and this is the hit that was asked for.
#[cfg(feature = "failpoints")]
pub async fn hit(name: &'static str) {
    use std::sync::atomic::Ordering;

    let Some(armed) = ARMED.as_ref().filter(|armed| armed.name == name) else { return };
    if armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        tell(name);
        std::future::pending::<()>().await;
    }
}

#[cfg(feature = "failpoints")]
fn tell(name: &str) {
    use std::io::Write as _;

    let mut stderr = std::io::stderr().lock();
    // Nobody is left to tell if this fails; the test that waits for the line times out.
    let _ = writeln!(stderr, "failpoint hit: {name}").and_then(|()| stderr.flush());
}

#[cfg(feature = "failpoints")]
struct Armed {
    name: String,
    left: std::sync::atomic::AtomicI64,
}

#[cfg(feature = "failpoints")]
static ARMED: std::sync::LazyLock<Option<Armed>> = std::sync::LazyLock::new(|| {
    let text = std::env::var("FOREBAY_FAILPOINT").ok()?;
    let (name, nth) = text.split_once(':').unwrap_or((&text, "1"));
    Some(Armed { name: name.to_owned(), left: nth.parse().unwrap_or(1).into() })
});
