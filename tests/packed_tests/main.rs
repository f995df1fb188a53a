//! Packed students against the Burn models they come from: every binary decision of every layer.

// What the golden tests read their files with; not all of it is used here.
#[allow(dead_code)]
#[path = "../golden_tests/check.rs"]
mod check;
#[allow(dead_code)]
#[path = "../golden_tests/fixture.rs"]
mod fixture;
#[allow(dead_code)]
#[path = "../golden_tests/model.rs"]
mod model;

mod compare;
mod golden;
mod odd;
mod random;
mod step;
mod trained;
