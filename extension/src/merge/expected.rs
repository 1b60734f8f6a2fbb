//! What is expected to be stored of a target's next set of rows.
//!
//! Asking for each key whether it is stored takes about as long as writing the row, and so does locking
//! the rows that are to be updated before they are. What the last sets of a target were, the next one is
//! taken for: new keys alone, other values for keys that are stored, or a replay of what is stored. If it
//! is not, that shows before anything is kept: an insert raises, an update finds too few rows, a look
//! finds a row that is not stored so. Then all is looked up, and nothing is expected of that target for a
//! while: longer each time, since what was rolled back has to be vacuumed.

use std::cell::RefCell;
use std::collections::HashMap;

use super::answer::Tally;
use crate::failpoint;

/// What is stored of the rows of a set that don't delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// Anything.
    #[default]
    Anything,
    /// None of their keys.
    New,
    /// All of their keys, and other values.
    Changed,
    /// All of them, just so.
    Same,
}

/// After so many equal sets the next one is expected to be equal, too.
const SETS: u32 = 2;

/// After a mistake so many sets are looked at; twice as many after each further one.
const FIRST_PAUSE: u32 = 64;
const LONGEST_PAUSE: u32 = 1 << 16;

/// New rows are rare where fewer than one of so many is new: looking for what all of the rows refer to
/// then costs more than a trigger for each new one.
const FEW: u64 = 4;

thread_local! {
    /// By the target's id. It is the session's; a writer's sessions live long.
    static HABITS: RefCell<HashMap<i32, Habit>> = RefCell::default();
}

#[derive(Debug, Clone, Copy)]
struct Habit {
    /// What the last sets were.
    latest: Expected,
    /// How many.
    sets: u32,
    is_rarely_new: bool,
    pause: u32,
    next_pause: u32,
}

impl Default for Habit {
    fn default() -> Self {
        Habit {
            latest: Expected::Anything,
            sets: 0,
            is_rarely_new: false,
            pause: 0,
            next_pause: FIRST_PAUSE,
        }
    }
}

/// What the next set of this target is expected to be.
pub fn expected(target: i32) -> Expected {
    let forced = match failpoint::expected().as_str() {
        "new" => Some(Expected::New),
        "changed" => Some(Expected::Changed),
        "same" => Some(Expected::Same),
        _ => None,
    };
    forced.unwrap_or_else(|| {
        HABITS.with_borrow(|habits| match habits.get(&target) {
            Some(habit) if habit.pause == 0 && habit.sets >= SETS => habit.latest,
            _ => Expected::Anything,
        })
    })
}

/// Whether few of the rows of the last set of this target were new.
pub fn is_rare(target: i32) -> bool {
    HABITS.with_borrow(|habits| habits.get(&target).is_some_and(|habit| habit.is_rarely_new))
}

/// A set of this target has been merged, and this is what became of its rows.
pub fn note(target: i32, tally: &Tally) {
    let rows = tally.inserted + tally.updated + tally.unchanged;
    if rows == 0 {
        return;
    }
    let seen = match rows {
        _ if rows == tally.inserted => Expected::New,
        _ if rows == tally.updated => Expected::Changed,
        _ if rows == tally.unchanged => Expected::Same,
        _ => Expected::Anything,
    };
    HABITS.with_borrow_mut(|habits| {
        let habit = habits.entry(target).or_default();
        habit.is_rarely_new = tally.inserted.saturating_mul(FEW) < rows;
        habit.pause = habit.pause.saturating_sub(1);
        habit.sets = if seen == habit.latest { habit.sets.saturating_add(1) } else { 1 };
        habit.latest = seen;
    });
}

/// A set of this target was not what was expected.
pub fn note_mistake(target: i32) {
    HABITS.with_borrow_mut(|habits| {
        let habit = habits.entry(target).or_default();
        habit.pause = habit.next_pause;
        habit.next_pause = habit.next_pause.saturating_mul(2).min(LONGEST_PAUSE);
        habit.sets = 0;
    });
}
