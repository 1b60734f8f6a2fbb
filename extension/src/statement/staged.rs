//! Reading what is staged.

use super::{Staging, any_of, key_images, quoted};
use crate::target::Target;

impl Staging<'_> {
    /// Rows, deletes, each set of named columns that occurs, as text, `''` for all; and whether a
    /// delete's key is null.
    pub fn count(&self) -> String {
        format!(
            "select count(*), count(*) filter (where s._op = 'd'), \
             array_agg(distinct coalesce(s._given::text, '')) filter (where s._op <> 'd'), \
             coalesce(bool_or(s._op = 'd' and ({})), false) from {} where s._batch >= $1",
            has_null_key(self.target),
            self.rows()
        )
    }

    /// Removes the rows of the events `$2`.
    pub fn remove_events(&self) -> String {
        format!("delete from {} where s._batch >= $1 and s._event = any ($2)", self.rows())
    }

    /// Whether a key stands twice in the batch, and whether in one event.
    pub fn repeats_key(&self) -> String {
        format!(
            "select count(*) > 0, coalesce(bool_or(r.rows > r.events), false) \
             from (select count(*) as rows, count(distinct s._event) as events \
             from {} where s._batch >= $1 group by {} having count(*) > 1) r",
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
