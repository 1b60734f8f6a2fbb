//! Reading what is staged.

use super::{Staging, key_images};

impl Staging<'_> {
    /// Rows, deletes, and each set of named columns that occurs, as text; `''` for all.
    pub fn count(&self) -> String {
        format!(
            "select count(*), count(*) filter (where s._op = 'd'), \
             array_agg(distinct coalesce(s._given::text, '')) filter (where s._op = 'u') \
             from {} where s._batch >= $1",
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

    /// Every row's event, row number, operation, named columns, place, and its key as a number that
    /// equal keys share.
    pub fn row_places(&self) -> String {
        let key = if self.target.key.is_empty() {
            "0::int8".to_owned()
        } else {
            format!("dense_rank() over (order by {})", key_images(self.target))
        };
        format!(
            "select s._event, s._row, s._op = 'd', s._given, s.ctid, {key} \
             from {} where s._batch >= $1",
            self.rows()
        )
    }
}
