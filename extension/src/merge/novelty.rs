//! Which targets mostly get rows whose keys are new.
//!
//! Asking for each key whether it is stored takes about as long as writing the row, and an insert that
//! may meet a stored one half as long. Where the last sets of a target had new keys alone, the next
//! one is written without asking. If one of its keys is stored after all, the write raises and is
//! rolled back, the keys are looked up, and no set of that target is written so for a while: longer
//! each time, since what was rolled back has to be vacuumed.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::failpoint;

/// After so many sets of new keys alone the next one is expected to be one, too.
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
    new_sets: u32,
    is_rarely_new: bool,
    pause: u32,
    next_pause: u32,
}

impl Default for Habit {
    fn default() -> Self {
        Habit { new_sets: 0, is_rarely_new: false, pause: 0, next_pause: FIRST_PAUSE }
    }
}

/// Whether a set of this target is expected to have new keys alone.
pub fn is_expected(target: i32) -> bool {
    failpoint::always_new()
        || HABITS.with_borrow(|habits| {
            habits.get(&target).is_some_and(|habit| habit.pause == 0 && habit.new_sets >= SETS)
        })
}

/// Whether few of the rows of the last set of this target were new.
pub fn is_rare(target: i32) -> bool {
    HABITS.with_borrow(|habits| habits.get(&target).is_some_and(|habit| habit.is_rarely_new))
}

/// A set of this target has been merged: so many rows of it were inserted, of so many, and they had
/// new keys alone, or not.
pub fn note(target: i32, inserted: u64, rows: i64, all_new: bool) {
    HABITS.with_borrow_mut(|habits| {
        let habit = habits.entry(target).or_default();
        habit.is_rarely_new = inserted.saturating_mul(FEW) < rows.unsigned_abs();
        habit.pause = habit.pause.saturating_sub(1);
        habit.new_sets = if all_new { habit.new_sets.saturating_add(1) } else { 0 };
    });
}

/// A set of this target was expected to have new keys alone, and had not.
pub fn note_mistake(target: i32) {
    HABITS.with_borrow_mut(|habits| {
        let habit = habits.entry(target).or_default();
        habit.pause = habit.next_pause;
        habit.next_pause = habit.next_pause.saturating_mul(2).min(LONGEST_PAUSE);
        habit.new_sets = 0;
    });
}
