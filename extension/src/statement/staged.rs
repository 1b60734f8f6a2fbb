//! Reading what is staged.

use super::{Staging, any_of, key_images, quoted};
use crate::target::Target;

impl Staging<'_> {
    /// Rows, deletes, other rows that name all columns, the least and the greatest set of columns that
    /// the rest names, and whether a delete's key is null.
    pub fn count(&self) -> String {
        format!(
            "select count(*), count(*) filter (where s._op = 'd'), \
             count(*) filter (where s._op <> 'd' and s._given is null), \
             min(s._given) filter (where s._op <> 'd'), max(s._given) filter (where s._op <> 'd'), \
             coalesce(bool_or(s._op = 'd' and ({})), false) from {} where s._batch >= $1",
            has_null_key(self.target),
            self.rows()
        )
    }

    /// Each set of named columns that occurs; null for all.
    pub fn shapes(&self) -> String {
        format!(
            "select distinct s._given from {} where s._batch >= $1 and s._op <> 'd' order by 1",
            self.rows()
        )
    }

    /// Removes the rows of the events `$2`, and answers how many of them don't delete.
    pub fn remove_events(&self) -> String {
        format!(
            "with removed as (delete from {} where s._batch >= $1 and s._event in (select unnest($2)) \
             returning s._op) select count(*) from removed r where r._op <> 'd'",
            self.rows()
        )
    }

    /// Whether a key stands twice in the batch.
    pub fn repeats_key(&self) -> String {
        self.has_twice("")
    }

    /// Whether a key stands twice in an event.
    pub fn repeats_key_in_event(&self) -> String {
        self.has_twice("s._event, ")
    }

    fn has_twice(&self, before_key: &str) -> String {
        format!(
            "select exists (select from {} where s._batch >= $1 group by {before_key}{} \
             having count(*) > 1)",
            self.rows(),
            key_images(self.target)
        )
    }

    /// Every row's event, row number, operation, named columns, place, its key as a number that equal
    /// keys share, if they can be read, and whether the key is null.
    pub fn row_places(&self, has_keys: bool) -> String {
        let key = if has_keys && !self.target.key.is_empty() {
            format!("dense_rank() over (order by {})", key_images(self.target))
        } else {
            "0::int8".to_owned()
        };
        format!(
            "select s._event, s._row, s._op = 'd', s._given, s.ctid, {key}, {} \
             from {} where s._batch >= $1",
            has_null_key(self.target),
            self.rows()
        )
    }
}

fn has_null_key(target: &Target) -> String {
    any_of(target.key.iter().map(|name| format!("s.{} is null", quoted(name))))
}
