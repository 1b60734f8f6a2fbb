//! Queries whose plans are kept, and the rows that they answer.

use std::marker::PhantomData;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::spi::SpiClient;
use pgrx::{FromDatum, IntoDatum};

use crate::attempt::Raised;
use crate::plan::Plan;
use crate::size::Size;

/// Runs a query with a fresh snapshot, by a plan that is kept for queries of this text and size.
pub fn query<'client>(
    _: &'client SpiClient<'_>,
    sql: &str,
    size: Size,
    arguments: &[DatumWithOid],
) -> Result<Rows<'client>, Raised> {
    let types: Vec<_> = arguments.iter().map(DatumWithOid::oid).collect();
    let plan = Plan::kept(sql, &types, size)?;
    let (values, nulls): (Vec<_>, Vec<_>) = arguments
        .iter()
        .map(|argument| match argument.datum() {
            Some(datum) => (datum.sans_lifetime(), b' ' as std::ffi::c_char),
            None => (pg_sys::Datum::null(), b'n' as std::ffi::c_char),
        })
        .unzip();
    let count = plan.read(&values, &nulls)?;
    // SAFETY: the query has run, and SPI keeps its rows until they are freed or SPI is left.
    let table = unsafe { pg_sys::SPI_tuptable };
    Ok(Rows { table, count, client: PhantomData })
}

/// What a query answered.
pub struct Rows<'client> {
    table: *mut pg_sys::SPITupleTable,
    count: usize,
    client: PhantomData<&'client ()>,
}

impl Rows<'_> {
    /// How many rows it has answered, or, if it answers none, written.
    pub fn processed(&self) -> usize {
        self.count
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        let count = if self.table.is_null() { 0 } else { self.count };
        (0..count).map(|number| Row { rows: self, number })
    }

    /// The first row; `XX000` if there is none.
    pub fn first(&self) -> Result<Row<'_>, Raised> {
        self.iter()
            .next()
            .ok_or_else(|| Raised::new("XX000", "a query that always answers has not"))
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        // SAFETY: the rows, if there are any, are SPI's, and freed once; nothing that was read from them
        // refers to them.
        unsafe { pg_sys::SPI_freetuptable(self.table) };
    }
}

/// One row.
pub struct Row<'a> {
    rows: &'a Rows<'a>,
    number: usize,
}

impl Row<'_> {
    /// The value of a column, counted from 1; none for null. `XX000` if it has another type.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: i32) -> Result<Option<T>, Raised> {
        // SAFETY: there is such a row, and SPI answers null for a column that it has not. The value is
        // copied where it is no plain number.
        let value = unsafe {
            let table = self.rows.table;
            let tuple = *(*table).vals.add(self.number);
            let mut is_null = false;
            let datum = pg_sys::SPI_getbinval(tuple, (*table).tupdesc, column, &mut is_null);
            let type_oid = pg_sys::SPI_gettypeid((*table).tupdesc, column);
            T::try_from_datum(datum, is_null, type_oid)
        };
        value.map_err(|error| Raised::new("XX000", format!("column {column}: {error}")))
    }
}
