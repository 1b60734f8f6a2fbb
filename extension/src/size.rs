//! About how much there is: what a plan that is kept was made for.

use pgrx::pg_sys::{self, Oid};

/// The sizes of what a statement reads, each to within a factor of four. A plan is good for statements
/// of the same text and size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Size(u64);

/// More bits than any class of one number needs.
const CLASS_BITS: u32 = 6;

impl Size {
    /// That of so many rows or blocks.
    pub fn of(count: u64) -> Self {
        Size(u64::from((u64::BITS - count.leading_zeros()).div_ceil(2)))
    }

    /// That of a table on disk. A partitioned table has none.
    pub fn of_table(relation: Oid) -> Self {
        Self::of(u64::from(blocks(relation)))
    }

    /// This one, and another. Of more than ten the first ones are forgotten.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Size(self.0.wrapping_shl(CLASS_BITS * other.numbers()) | other.0)
    }

    fn numbers(self) -> u32 {
        (u64::BITS - self.0.leading_zeros()).div_ceil(CLASS_BITS).max(1)
    }
}

fn blocks(relation: Oid) -> u32 {
    let mode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: opened if it is there, with the lock that reading it takes, and closed; the lock stays until
    // the transaction's end.
    unsafe {
        let table = pg_sys::try_relation_open(relation, mode);
        if table.is_null() {
            return 0;
        }
        let has_storage =
            (*(*table).rd_rel).relkind == pg_sys::RELKIND_RELATION as std::ffi::c_char;
        let blocks = if has_storage {
            pg_sys::RelationGetNumberOfBlocksInFork(table, pg_sys::ForkNumber::MAIN_FORKNUM)
        } else {
            0
        };
        pg_sys::relation_close(table, pg_sys::NoLock as pg_sys::LOCKMODE);
        blocks
    }
}
