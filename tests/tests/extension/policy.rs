//! The policy table, as the extension has it.

#[path = "../../../extension/src/policy.rs"]
mod table;

use table::{Fault, fault_of};

#[test]
fn bad_data_is_the_events_fault() {
    for sqlstate in [
        "22P02", "22001", "22003", "23502", "23503", "23505", "23514", "23P01", "54000", "44000",
        "P0001", "42501",
    ] {
        assert_eq!(fault_of(sqlstate), Fault::Event, "{sqlstate}");
    }
}

#[test]
fn an_outage_is_the_worlds_fault_and_so_is_what_is_not_listed() {
    for sqlstate in [
        "08006", "25006", "40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "57P01",
        "58030", "XX000", "42P01", "42703", "0A000", "54001", "P0002", "FB001", "XY123", "",
    ] {
        assert_eq!(fault_of(sqlstate), Fault::World, "{sqlstate}");
    }
}
